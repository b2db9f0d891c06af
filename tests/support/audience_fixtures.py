"""Profiles without a model, and shopper tables of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.features.profiles.interests import Interest
from portrait.server.audiences.table import Description, ShopperTable, key_of, write
from portrait.server.profiles.profile import Profile
from portrait.server.profiles.value import Segment, Tier, Value
from portrait.server.release.traits import Trait, TraitValue

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TRAITS = ("buys", "lapses")
DIMENSION = 4
DESCRIPTION = Description(7, 1, "", 0, DIMENSION, list(TRAITS), [], 0, 0, 0)


def make_interest(path: tuple[str, ...], weight: float, *, inferred: bool = False) -> Interest:
    return Interest(path, weight, 0.5, (), weight, weight, None, None, None, inferred)


def make_value(tier: Tier, segment: Segment, scores: tuple[int, int, int | None]) -> Value:
    return Value(tier, segment, 1.0, 1, None, *scores, 90.0, 1.0, (), NOW)


def make_profile(
    interests: Sequence[Interest] = (),
    worth: Value | None = None,
    traits: Mapping[str, float | None] | None = None,
    vector: NDArray[np.float32] | None = None,
    last: datetime | None = NOW,
    as_of: datetime = NOW,
) -> Profile:
    told = [
        TraitValue(Trait(name, "", timedelta(30), timedelta(90), None, None, ""), chance, "")
        for name, chance in (traits or {}).items()
    ]
    return Profile(
        vector, 1, last, last, 7, as_of, NOW, False, {}, interests=interests, customer_value=worth, traits=told
    )


def write_table(
    profiles: Mapping[str, Profile], folder: Path, description: Description = DESCRIPTION, snapshot: int = 1
) -> ShopperTable:
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(profiles.items(), key=lambda each: key_of(each[0]))
    write(ordered, dataclasses.replace(description, snapshot=snapshot), folder)
    return ShopperTable.open(folder)
