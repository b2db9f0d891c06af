"""Personalised search: what a query means to this shopper, with and without the history.

python -m docs.examples.applications.personalised_search "xbox wireless" --data DATA
"""

from datetime import datetime

from rich.console import Console

from docs.examples.applications import shop
from portrait.client import Client, Event, Item, Ranking
from portrait.client.tables import print_ranking


def found(portrait: Client, history: list[Event], query: str, as_of: datetime | None, k: int = 10) -> Ranking:
    """Search by Portrait alone: the catalogue's best items for the query; an empty history for nobody in particular."""
    return portrait.recommend(history, query=query, k=k, as_of=as_of)


def reordered(
    portrait: Client, history: list[Event], query: str, results: list[str], as_of: datetime | None
) -> Ranking:
    """The results of a search engine that the shop has, in this shopper's order."""
    return portrait.rank(history, [Item(item_id) for item_id in results], query=query, as_of=as_of)


def main() -> None:
    """Print what a query finds for a shopper, and for anybody."""
    parser = shop.arguments(__doc__)
    parser.add_argument("query")
    options = parser.parse_args()
    history, console = shop.somebody(options.data, options.shopper), Console()
    with Client(options.address, timeout=30) as portrait:
        for who, events in (("this shopper", history), ("anybody", [])):
            ranking = found(portrait, events, options.query, shop.now(history), k=5)
            print_ranking(console, ranking, f"{options.query!r} for {who}")


if __name__ == "__main__":
    main()
