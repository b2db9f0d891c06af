"""Behaviour analysis and marketing: who will be worth most next, as an audience.

python -m docs.examples.applications.audience --data DATA --out audience.csv

The release has the trait `high_value` (traits.toml).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console

from docs.examples.applications import shop
from portrait.client import Client, Event, Profile

TRAIT = "high_value"
SHARE = 0.1
_PER_CALL = 64
"""A call takes 256 shoppers by id; histories that travel with it make it larger."""


def profiles(portrait: Client, histories: Mapping[str, list[Event]], as_of: datetime) -> dict[str, Profile]:
    """Trait and value of each shopper, in calls of a few; who can't be answered for is left out."""
    names = list(histories)
    found: dict[str, Profile] = {}
    for begin in range(0, len(names), _PER_CALL):
        part = names[begin : begin + _PER_CALL]
        answered = portrait.batch_get_profiles(
            [histories[name] for name in part], as_of=as_of, fields=["traits", "value"]
        )
        found |= {name: each for name, each in zip(part, answered, strict=True) if isinstance(each, Profile)}
    return found


def worth(profile: Profile) -> float:
    """The chance to be among those who spend the most next; below all others where the trait is absent."""
    chance = next((trait.probability for trait in profile.traits if trait.name == TRAIT), None)
    return -1.0 if chance is None else chance


def most_valuable(found: Mapping[str, Profile], share: float = SHARE) -> list[str]:
    """The audience: the likeliest shoppers, so many as are a share of all."""
    return sorted(found, key=lambda name: (-worth(found[name]), name))[: round(share * len(found))]


def main() -> None:
    """Write the audience of the day after the log's end, and print what it is like."""
    parser = shop.arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file for the ids, one a line")
    options = parser.parse_args()
    histories = shop.histories(options.data)
    as_of = max(event.time for events in histories.values() for event in events[-1:] if event.time) + timedelta(days=1)
    with Client(options.address, timeout=60) as portrait:
        found = profiles(portrait, histories, as_of)
    audience = most_valuable(found)
    options.out.write_text("".join(f"{name}\n" for name in audience))
    tiers = [value.tier for name in audience if (value := found[name].value)]
    Console().print(
        f"{len(audience):,} of {len(found):,} shoppers; {tiers.count('top') / max(1, len(tiers)):.0%} were of the "
        f"highest tier so far. Least chance: {worth(found[audience[-1]]):.0%}."
    )


if __name__ == "__main__":
    main()
