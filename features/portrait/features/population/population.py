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
from portrait.features.population.interest_dynamics import Decay
from portrait.features.population.purchase_cycles import CategoryCycle, CycleScale

VERSION = 1
"""Version of the file: a release of another version is served as one without statistics."""

DISCOUNTED = 0.95
"""A price of this share of the usual price or less is discounted."""


@dataclass(frozen=True)
class Attention:
    """Movement of the shoppers' attention between categories."""

    by_order: Decay
    """Half-lives in events."""
    by_time: Decay | None
    """Half-lives in days; None if the events carry no times."""
    usual: Mapping[str, float]
    """Share of all shoppers' evidence, by category key."""
    inferred: tuple[float, float] | None
    """a and b of σ(a + b log s): the chance of a category that a shopper has not met, by its associations s."""


@dataclass(frozen=True)
class Cycles:
    """Repeat purchases of categories."""

    scale: CycleScale
    categories: Mapping[str, CategoryCycle]
    """By category key."""


@dataclass(frozen=True)
class Spending:
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
    attention: Attention | None
    """None if the items have no categories."""
    brands: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Share of each brand among the evidence with a brand, by category key; `""` is the whole catalogue."""
    session_gap_minutes: float | None = None
    """A longer pause ends a session; None if the events carry no times."""
    times_are_days: bool = False
    """True if the log tells no hours."""
    cycles: Cycles | None = None
    spending: Spending | None = None
    paid: PriceScale | None = None
    """Prices that were paid, by category; None if no purchase carries one."""
    discounted_shares: Sequence[float] | None = None
    """21 quantiles over shoppers of the share of purchases below the usual price; None if prices of one item differ too
    much to tell a discount from another product."""

    def write(self, path: Path) -> None:
        """Write as JSON."""
        paid = None if self.paid is None else self.paid.to_json()
        content = {"version": VERSION} | dataclasses.asdict(dataclasses.replace(self, paid=None)) | {"paid": paid}
        path.write_text(json.dumps(_rounded(content), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Population | None":
        """The inverse of `write`; None if the file is of another version."""
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("version", None) != VERSION:
            return None
        attention, cycles, spending = data.pop("attention"), data.pop("cycles"), data.pop("spending")
        paid = data.pop("paid")
        return cls(
            paid=None if paid is None else PriceScale.from_json(paid),
            attention=None if attention is None else _attention(attention),
            cycles=None if cycles is None else _cycles(cycles),
            spending=None if spending is None else Spending(**spending),
            **data,
        )


def _attention(data: dict[str, Any]) -> Attention:
    return Attention(
        by_order=Decay(**data["by_order"]),
        by_time=None if data["by_time"] is None else Decay(**data["by_time"]),
        usual=data["usual"],
        inferred=None if data["inferred"] is None else tuple(data["inferred"]),
    )


def _cycles(data: dict[str, Any]) -> Cycles:
    scale = data["scale"] | {"calibration": tuple(data["scale"]["calibration"])}
    return Cycles(CycleScale(**scale), {key: CategoryCycle(**each) for key, each in data["categories"].items()})


def _rounded(value: Any) -> Any:
    """Six digits are enough, and keep the file small."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
