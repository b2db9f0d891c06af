"""Product recommendation: what a shopper may want next, and why.

python -m docs.examples.applications.product_recommendation --data DATA
"""

from datetime import datetime

from rich.console import Console

from docs.examples.applications import shop
from portrait.client import Client, Event, Ranking
from portrait.client.tables import print_explanation, print_ranking


def recommended(
    portrait: Client, history: list[Event], as_of: datetime | None, *, new_only: bool = False, k: int = 10
) -> Ranking:
    """The best products for a shopper; `new_only` where nobody buys a thing twice."""
    return portrait.recommend(history, exclude_seen=new_only, k=k, as_of=as_of)


def main() -> None:
    """Print ten recommendations, and what the shopper did that speaks for the first."""
    options = shop.arguments(__doc__).parse_args()
    history, console = shop.somebody(options.data, options.shopper), Console()
    with Client(options.address, timeout=30) as portrait:
        ranking = recommended(portrait, history, shop.now(history))
        print_ranking(console, ranking, "recommended")
        first = ranking.items[0].item
        why = portrait.explain_recommendation(history, first.item_id, as_of=shop.now(history))
        print_explanation(console, why)


if __name__ == "__main__":
    main()
