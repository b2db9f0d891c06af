"""Population: what a release knows of its shoppers as a whole, against which a profile is read.

`training` estimates it from the training window, `export` writes it as a file of the release, `server` reads it.
What a log does not allow to estimate is None, and the fields of the profile that need it are absent.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portrait.features.items.prices import PriceScale
from portrait.features.population.interest_dynamics import InterestDecay
from portrait.features.population.purchase_cycles import CategoryCycle, CycleScale

VERSION = 1
"""Version of the file: a release of another version is served as one without statistics."""

MAX_DISCOUNTED_RATIO = 0.95
"""A price of this share of the usual price or less is discounted."""


@dataclass(frozen=True)
class InterestDynamics:
    """Movement of the shoppers' attention between categories."""

    by_order: InterestDecay
    """Half-lives in events."""
    by_time: InterestDecay | None
    """Half-lives in days; None if the events carry no times."""
    population_weights: Mapping[str, float]
    """Share of all shoppers' evidence, by category key."""
    inferred_calibration: tuple[float, float] | None
    """a and b of σ(a + b log s): the chance of a category that a shopper has not met, by its associations s."""


@dataclass(frozen=True)
class PurchaseCycles:
    """Repeat purchases of categories."""

    scale: CycleScale
    categories: Mapping[str, CategoryCycle]
    """By category key."""


@dataclass(frozen=True)
class SpendingFifths:
    """Distribution of recency, frequency and spending over shoppers: the four cuts between fifths, ascending."""

    window_days: float
    recency_days: Sequence[float]
    frequency: Sequence[float]
    monetary: Sequence[float] | None
    """None if too few purchases carry a price."""


@dataclass(frozen=True)
class Population:
    """All of them."""

    window_days: float
    """Length of the training window; 0 if the events carry no times."""
    interest_dynamics: InterestDynamics | None
    """None if the items have no categories."""
    brand_shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Share of each brand among the evidence with a brand, by category key; `""` is the whole catalogue."""
    session_gap_minutes: float | None = None
    """A longer pause ends a session; None if the events carry no times."""
    times_are_days: bool = False
    """True if the log tells no hours."""
    purchase_cycles: PurchaseCycles | None = None
    spending: SpendingFifths | None = None
    paid_prices: PriceScale | None = None
    """Prices that were paid, by category; None if no purchase carries one."""
    discounted_shares: Sequence[float] | None = None
    """21 quantiles over shoppers of the share of purchases below the usual price; None if prices of one item differ too
    much to tell a discount from another product."""

    def write(self, path: Path) -> None:
        """Write as JSON."""
        paid = None if self.paid_prices is None else self.paid_prices.to_json()
        content = (
            {"version": VERSION}
            | dataclasses.asdict(dataclasses.replace(self, paid_prices=None))
            | {"paid_prices": paid}
        )
        path.write_text(json.dumps(_round_numbers(content), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Population | None":
        """The inverse of `write`; None if the file is of another version."""
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("version", None) != VERSION:
            return None
        dynamics, cycles, spending = data.pop("interest_dynamics"), data.pop("purchase_cycles"), data.pop("spending")
        paid = data.pop("paid_prices")
        return cls(
            paid_prices=None if paid is None else PriceScale.from_json(paid),
            interest_dynamics=None if dynamics is None else _read_interest_dynamics(dynamics),
            purchase_cycles=None if cycles is None else _read_purchase_cycles(cycles),
            spending=None if spending is None else SpendingFifths(**spending),
            **data,
        )


def _read_interest_dynamics(data: dict[str, Any]) -> InterestDynamics:
    return InterestDynamics(
        by_order=InterestDecay(**data["by_order"]),
        by_time=None if data["by_time"] is None else InterestDecay(**data["by_time"]),
        population_weights=data["population_weights"],
        inferred_calibration=None if data["inferred_calibration"] is None else tuple(data["inferred_calibration"]),
    )


def _read_purchase_cycles(data: dict[str, Any]) -> PurchaseCycles:
    scale = data["scale"] | {"calibration": tuple(data["scale"]["calibration"])}
    return PurchaseCycles(CycleScale(**scale), {key: CategoryCycle(**each) for key, each in data["categories"].items()})


def _round_numbers(value: Any) -> Any:
    """Six digits are enough, and keep the file small."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _round_numbers(each) for key, each in value.items()}
    return [_round_numbers(each) for each in value] if isinstance(value, list | tuple) else value
