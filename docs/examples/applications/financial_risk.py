"""Financial risk: the financial products that a shopper may be shown, in order.

python -m docs.examples.applications.financial_risk --data DATA

The release has the trait `misses_instalment` (traits.toml). Its label here is synthetic: draw_missed_instalments.py
draws it and says how, and it tells nothing of real payments. The policy is the product's own: `highest_risk`. Who does
not allow the purpose `read_risk` (docs/privacy.md) is not judged by it, and treated as one of whom it is not known.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from docs.examples.applications import shop
from portrait.client import Client, Event, Item, Purpose, Ranking, Trait

CATALOGUE = "financial_products"
TRAIT = "misses_instalment"
_PRODUCTS = Path(__file__).with_name("financial_products.jsonl")


@dataclass(frozen=True)
class Product:
    """A financial product and its policy."""

    item: Item
    highest_risk: float | None
    """Maximum probability of a missed instalment; a higher or unknown one hides it. None shows it to everyone."""

    def may_be_shown(self, risk: float | None) -> bool:
        """Return whether the policy allows the product; a shopper without a known risk is offered no credit."""
        return self.highest_risk is None or (risk is not None and risk <= self.highest_risk)


def read_products() -> list[Product]:
    """Read twelve products, written for this example."""
    rows = [json.loads(line) for line in _PRODUCTS.read_text(encoding="utf-8").splitlines()]
    return [
        Product(
            Item(row["item_id"], row["title"], row["category_path"], attributes={"for": row["for"]}),
            row.get("highest_risk"),
        )
        for row in rows
    ]


def is_risk_allowed(portrait: Client, shopper_id: str) -> bool:
    """Return whether a shopper allows decisions on their risk: by default, only after granting it."""
    return portrait.get_consents(shopper_id).permissions[Purpose.RISK].allowed


def read_risk(traits: tuple[Trait, ...]) -> float | None:
    """Read the probability of a missed instalment; None if the trait is absent, with its reason in the profile."""
    return next((trait.probability for trait in traits if trait.name == TRAIT), None)


def rank_products(
    portrait: Client, history: list[Event], chance: float | None, offers: list[Product], as_of: datetime | None
) -> Ranking:
    """Rank the products that may be shown to a shopper, the best fit first."""
    shown = [product.item for product in offers if product.may_be_shown(chance)]
    return portrait.rank(history, shown, catalogue=CATALOGUE, as_of=as_of)


def main() -> None:
    """Print what a shopper is offered, and what is held back and why."""
    options = shop.make_parser(__doc__).parse_args()
    shopper_id, offers = shop.choose_shopper(options.data, options.shopper), read_products()
    history = shop.read_history(options.data, shopper_id)
    as_of = shop.day_after(history)
    with Client(options.address, timeout=30) as portrait:
        portrait.upsert_items([product.item for product in offers], catalogue=CATALOGUE)
        may = is_risk_allowed(portrait, shopper_id)
        chance = read_risk(portrait.get_profile(history, as_of=as_of, fields=["traits"]).traits) if may else None
        ranking = rank_products(portrait, history, chance, offers, as_of)
    said = "not known" if chance is None else f"{chance:.1%}"
    table = Table("", "product", "", title=f"chance to miss an instalment (synthetic label): {said}")
    for place, ranked in enumerate(ranking.items, start=1):
        table.add_row(str(place), ranked.item.title, "")
    for product in offers:
        if not product.may_be_shown(chance):
            table.add_row("-", product.item.title, f"only up to {product.highest_risk:.0%}")
    if not may:
        table.caption = "the shopper has not allowed the purpose risk"
    Console().print(table)


if __name__ == "__main__":
    main()
