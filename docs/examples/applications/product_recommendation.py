"""Product recommendation: the products that a shopper may want next, and the reasons.

python -m docs.examples.applications.product_recommendation --data DATA
"""

from datetime import datetime

from rich.console import Console

from docs.examples.applications import shop
from portrait.client import Client, Event, Ranking
from portrait.client.tables import print_explanation, print_ranking


def recommend_products(
    portrait: Client, history: list[Event], as_of: datetime | None, *, new_only: bool = False, k: int = 10
) -> Ranking:
    """Recommend the best products to a shopper; `new_only` leaves known products out."""
    return portrait.recommend(history, exclude_seen=new_only, k=k, as_of=as_of)


def main() -> None:
    """Print ten recommendations, and the events that explain the first."""
    options = shop.make_parser(__doc__).parse_args()
    history, console = shop.read_history(options.data, options.shopper), Console()
    with Client(options.address, timeout=30) as portrait:
        ranking = recommend_products(portrait, history, shop.day_after(history))
        print_ranking(console, ranking, "recommended")
        first = ranking.items[0].item
        why = portrait.explain_recommendation(history, first.item_id, as_of=shop.day_after(history))
        print_explanation(console, why)


if __name__ == "__main__":
    main()
