"""Behaviour analysis and marketing: an audience of the shoppers who will be worth most next.

    portrait build-audience-table
    python -m docs.examples.applications.audience --out audience.csv

The shoppers' events are recorded, and the release has the trait `high_value` (traits.toml). Found are those who allow
advertising (docs/privacy.md).
"""

import argparse
import os
from pathlib import Path

from rich.console import Console

from portrait.client import Client, TraitCriterion

TRAIT = "high_value"
SHARE = 0.1
_STEPS = 12


def find_threshold(portrait: Client, share: float = SHARE) -> float:
    """Find the probability above which shoppers are about a share of all, by bisection over estimates."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        size = portrait.estimate_audience([TraitCriterion(TRAIT, middle)])
        low, high = (middle, high) if size.estimated_size > share * size.table_size else (low, middle)
    return high


def find_audience(portrait: Client, least: float) -> list[str]:
    """Find the audience: the ids of all shoppers with at least this probability."""
    pages = portrait.find_audience([TraitCriterion(TRAIT, least)])
    return [member.shopper_id for page in pages for member in page.members]


def main() -> None:
    """Write the audience's ids."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--address", default=os.environ.get("PORTRAIT_ADDRESS", "localhost:50051"))
    parser.add_argument("--out", type=Path, required=True, help="file for the ids, one a line")
    options = parser.parse_args()
    with Client(options.address, timeout=60) as portrait:
        least = find_threshold(portrait)
        audience = find_audience(portrait, least)
    options.out.write_text("".join(f"{shopper_id}\n" for shopper_id in audience), encoding="utf-8")
    Console().print(f"{len(audience):,} shoppers with a chance of {least:.0%} or more are in {options.out}")


if __name__ == "__main__":
    main()
