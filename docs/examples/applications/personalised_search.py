"""Personalised search: the results of a query for this shopper, with and without the history.

python -m docs.examples.applications.personalised_search "xbox wireless" --data DATA
"""

from datetime import datetime

from rich.console import Console

from docs.examples.applications import shop
from portrait.client import Client, Event, Item, Ranking
from portrait.client.tables import print_ranking


def search_catalogue(
    portrait: Client, history: list[Event], query: str, as_of: datetime | None, k: int = 10
) -> Ranking:
    """Search the catalogue by Portrait alone; an empty history gives results without a shopper."""
    return portrait.recommend(history, query=query, k=k, as_of=as_of)


def rerank_results(
    portrait: Client, history: list[Event], query: str, results: list[str], as_of: datetime | None
) -> Ranking:
    """Re-rank the results of the shop's own search engine for this shopper."""
    return portrait.rank(history, [Item(item_id) for item_id in results], query=query, as_of=as_of)


def main() -> None:
    """Print the results of a query for a shopper, and without one."""
    parser = shop.make_parser(__doc__)
    parser.add_argument("query")
    options = parser.parse_args()
    history, console = shop.read_history(options.data, options.shopper), Console()
    with Client(options.address, timeout=30) as portrait:
        for who, events in (("this shopper", history), ("anybody", [])):
            ranking = search_catalogue(portrait, events, options.query, shop.day_after(history), k=5)
            print_ranking(console, ranking, f"{options.query!r} for {who}")


if __name__ == "__main__":
    main()
