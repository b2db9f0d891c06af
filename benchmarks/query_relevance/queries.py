"""Plain product queries of a grocery's shoppers, with the items that answer each.

Queries and patterns were written from the taxonomy of The Complete Journey, before any result was looked at.
"""

import re
from collections.abc import Mapping

from portrait.features.events import Item

_JUICES = r"(juices|jce conc|juice|refrigerated)"
_BREADS = r"(baked bread|frozen bread|pastry > (bread|rolls)|nutrition > bread)"

QUERIES: Mapping[str, str] = {
    "diapers": r"> diapers",
    "baby wipes": r"(> baby hbc|> diapers|> infant care).*: .*wipe",
    "baby food": r"> baby ?food",
    "milk": r"> (fluid milk|canned milk)|: .*\b(soy|rice|almond|milk) ?(/ rice )?milk",
    "eggs": r"> eggs|> refrigerated: eggs",
    "butter": r"> (butter|margarines)",
    "cheese": r"> cheeses?:|> (milk by-products|misc\. dairy|refrigerated).*: .*cheese",
    "yogurt": r"> yogurt|> refrigerated.*: .*yogurt",
    "bread": _BREADS,
    "cereal": r"> (cold cereal|hot cereal|cereal / breakfast)",
    "coffee": r"> (coffee:|coffee shop)|> dry tea / coffee.*: .*coffee",
    "tea": r"> teas|: .*\bteas?\b",
    "orange juice": rf"> .*{_JUICES}.*: .*(orange|juice - o|\boj\b)",
    "soft drinks": r"> soft drinks",
    "bottled water": r"> water",
    "beer": r"> beers",
    "wine": r"> .*\bwine:",
    "dog food": r"> dog foods",
    "cat food": r"> cat food",
    "cat litter": r"> cat litter",
    "toilet paper": r"> bath tissues",
    "paper towels": r"> paper towels",
    "laundry detergent": r"> laundry detergents",
    "dish soap": r"> dishwash detergents",
    "shampoo": r"(hair|personal|baby|ethnic).*: .*shampoo",
    "toothpaste": r": .*toothpaste",
    "deodorant": r"> deodorants",
    "razors": r"> shaving care",
    "vitamins": r"> (natural )?vitamins",
    "aspirin": r"> analgesics",
    "cough syrup": r"> cold and flu|: cough syrp",
    "bananas": r"> .*fruit.*: .*banana",
    "apples": r"> apples|> organics.*: .*apple",
    "grapes": r"> grapes|> organics.*: .*grape",
    "strawberries": r"> (berries|frzn fruits|organics).*: .*strawberr",
    "potatoes": r"> (frzn )?potatoes|> (vegetables|dry bn|organics|value added veg).*: .*potato",
    "onions": r"> onions|> (vegetables|organics|value added veg|frzn veg).*: .*onion",
    "tomatoes": r"> tomatoes|> (vegetables|organics|value added veg).*: .*tomato",
    "lettuce": r": .*lettuce",
    "ground beef": r"> beef|: .*ground beef",
    "chicken breast": r"> (frozen )?chicken|: .*chicken breast",
    "bacon": r"> bacon|meat.*: .*bacon",
    "hot dogs": r"> hot dogs",
    "frozen pizza": r"> frozen pizza|> frozen: .*pizza",
    "ice cream": r"> (ice cream|frzn novelties)",
    "potato chips": r"> (bag snacks|warehouse snacks|chips&snacks).*: .*chips",
    "cookies": r"> cookies:|> cookies / cones.*: .*cookie|> snks / ckys.*: .*cookie",
    "pasta sauce": r"> pasta sauce",
    "batteries": r"> batteries",
    "light bulbs": r"> electrical suppplies.*: .*bulb",
}
"""50 queries, each with the pattern of its relevant items, matched with `describe_item`."""


def describe_item(item: Item) -> str:
    """Describe an item as `category > narrower category: title`, in small letters."""
    return f"{' > '.join(item.category_path)}: {item.title}".lower()


def is_relevant(query: str, item: Item) -> bool:
    """Tell whether an item answers one of `QUERIES`."""
    return re.search(QUERIES[query], describe_item(item)) is not None
