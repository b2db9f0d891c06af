"""A generated log of a small shop for home and garden: `python make_log.py FOLDER`.

Every shopper likes two kinds of things, buys some of them again and again, and searches before about every third
purchase. Nobody is in it. The same log comes out each time: events.csv and items.csv, in the format of docs/data.md.
"""

import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

SHOPPERS, DAYS = 400, 420
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)

# Kind: path, price, days until it is wanted again (0: hardly ever), and what there is.
KINDS = {
    "coffee": ("Kitchen > Coffee", 9.0, 24, ["espresso beans", "filter coffee, ground", "decaf beans", "oat drink"]),
    "baking": ("Kitchen > Baking", 6.0, 40, ["bread flour", "dry yeast", "vanilla sugar", "baking paper"]),
    "pans": ("Kitchen > Pans", 45.0, 0, ["cast iron pan", "non-stick frying pan", "saucepan with lid", "wok of steel"]),
    "dogs": ("Pets > Dogs", 28.0, 30, ["dry food for dogs", "dental sticks for dogs", "dog lead", "dog bed, washable"]),
    "cats": ("Pets > Cats", 24.0, 28, ["wet food for cats", "cat litter", "scratching post", "toy mouse for cats"]),
    "lamps": ("Home > Lamps", 60.0, 0, ["desk lamp, dimmable", "floor lamp of oak", "bedside lamp", "pendant lamp"]),
    "rugs": ("Home > Rugs", 90.0, 0, ["wool rug", "rug for outdoors", "runner for the hall", "round rug of jute"]),
    "cleaning": ("Home > Cleaning", 7.0, 35, ["dish soap", "washing powder", "sponges", "floor cleaner"]),
    "garden": ("Garden > Tools", 22.0, 0, ["garden hose", "pruning shears", "rake of steel", "watering can"]),
    "plants": ("Garden > Plants", 12.0, 45, ["tomato seedlings", "lavender in a pot", "potting soil", "tulip bulbs"]),
}  # fmt: skip
BRANDS = ("Ahorn", "Birke", "Ceder", "Dorn")
COLOURS = ("green", "blue", "red", "black", "white")


def make_items() -> Iterator[dict[str, object]]:
    """Make each product of each brand, in a colour."""
    for kind, (path, price, _, things) in KINDS.items():
        for thing_number, thing in enumerate(things):
            for number, brand in enumerate(BRANDS):
                yield {
                    "item_id": f"{kind}-{thing_number}-{number}",
                    "title": f"{brand} {thing}, {COLOURS[(thing_number + number) % len(COLOURS)]}",
                    "category_path": path,
                    "brand": brand,
                    "price": round(price * (0.7 + 0.2 * number) * (1.0 + 0.1 * thing_number), 2),
                }


def make_events(shopper: int, prices: dict[str, float]) -> Iterator[dict[str, object]]:
    """Generate the events of one shopper: needs arise, lead to searches or views, and mostly end in a purchase."""
    random = Random(shopper)
    who, liked, brand = f"shopper-{shopper:03}", random.sample(sorted(KINDS), 2), random.randrange(len(BRANDS))
    leaves = DAYS if random.random() < 0.8 else random.randint(DAYS // 3, DAYS)
    needs = sorted(need for kind in liked for need in _draw_needs(random, kind, leaves))
    for day, kind, thing in needs:
        time = BEGIN + timedelta(days=day, hours=random.choice((8, 12, 19, 20, 21)), minutes=random.randrange(60))
        words = KINDS[kind][3][thing]
        if random.random() < 0.35:
            yield {"shopper_id": who, "type": "search", "time": time, "query": words.split(",")[0]}
        looked = [
            brand if random.random() < 0.7 else random.randrange(len(BRANDS)) for _ in range(random.randint(1, 3))
        ]
        for place, number in enumerate(looked):
            time += timedelta(seconds=random.randint(10, 90))
            item = f"{kind}-{thing}-{number}"
            yield {"shopper_id": who, "type": "view", "time": time, "item_id": item, "position": place + 1}
        if random.random() < 0.75:
            time += timedelta(minutes=random.randint(1, 9))
            price = round(prices[item] * random.choice((1.0, 1.0, 1.0, 0.8)), 2)
            yield {"shopper_id": who, "type": "purchase", "time": time, "item_id": item, "price": price, "quantity": 1}


def _draw_needs(random: Random, kind: str, leaves: int) -> Iterator[tuple[int, str, int]]:
    every, day = KINDS[kind][2] or 120, random.randrange(60)
    favourite = random.randrange(4)
    while day < leaves:
        yield day, kind, favourite if random.random() < 0.6 else random.randrange(4)
        day += max(2, round(random.gauss(every, every / 6)))


def write_csv(path: Path, columns: list[str], rows: Iterator[dict[str, object]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def main(folder: Path) -> None:
    """Write the log."""
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = list(make_items())
    prices = {str(item["item_id"]): float(str(item["price"])) for item in catalogue}
    write_csv(folder / "items.csv", list(catalogue[0]), iter(catalogue))
    columns = ["shopper_id", "type", "time", "item_id", "query", "price", "quantity", "position"]
    everything = (event for shopper in range(SHOPPERS) for event in make_events(shopper, prices))
    write_csv(folder / "events.csv", columns, everything)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
