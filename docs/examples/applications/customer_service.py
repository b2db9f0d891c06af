"""Customer service: the help article that answers a message, and who is asking.

python -m docs.examples.applications.customer_service "where is my stuff" --data DATA
"""

import json
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from docs.examples.applications import shop
from portrait.client import Client, Event, EventType, Item, Ranking

CATALOGUE = "help_articles"
ARTICLES = Path(__file__).with_name("help_articles.jsonl")
LATEST_ORDERS = 3


def read_articles() -> list[Item]:
    """Read the shop's forty help pages, written for this example."""
    rows = [json.loads(line) for line in ARTICLES.read_text(encoding="utf-8").splitlines()]
    return [
        Item(row["item_id"], row["title"], row["category_path"], attributes={"answer": row["answer"]}) for row in rows
    ]


def find_articles(
    portrait: Client, message: str, shopper: str | list[Event], as_of: datetime | None = None, k: int = 3
) -> Ranking:
    """Find the articles that may answer a message, the best first."""
    return portrait.recommend(shopper, catalogue=CATALOGUE, query=message, k=k, as_of=as_of)


def list_latest_orders(portrait: Client, history: list[Event]) -> list[tuple[Event, Item]]:
    """List the shopper's latest purchases, newest first: most messages are about one of them."""
    bought = [event for event in history if event.type is EventType.PURCHASE][: -LATEST_ORDERS - 1 : -1]
    return [(event, portrait.get_item(event.item_id)) for event in bought]


def main() -> None:
    """Print what an agent would see beside a message."""
    parser = shop.make_parser(__doc__)
    parser.add_argument("message")
    options = parser.parse_args()
    history, console = shop.read_history(options.data, options.shopper), Console()
    with Client(options.address, timeout=30) as portrait:
        portrait.upsert_items(read_articles(), catalogue=CATALOGUE)
        found = Table("article", "what it says", "nearness", title=f"“{options.message}”")
        for ranked in find_articles(portrait, options.message, history, shop.day_after(history)).items:
            found.add_row(ranked.item.title, ranked.item.attributes["answer"], f"{ranked.score:.2f}")
        console.print(found)
        orders = Table("when", "bought", "price", title="the latest orders")
        for event, item in list_latest_orders(portrait, history):
            when = f"{event.time:%Y-%m-%d}" if event.time else ""
            orders.add_row(when, item.title, "" if event.price is None else f"{event.price:,.2f}")
        console.print(orders)
        profile = portrait.get_profile(history, as_of=shop.day_after(history), fields=["summary"])
        for sentence in profile.summary:
            console.print(f"- {sentence.english}", highlight=False)


if __name__ == "__main__":
    main()
