"""Profiles without a model, and audience tables of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.features.profiles.interests import Interest
from portrait.server.audiences.table import AudienceTable, TableDescription, encode_key, write_table
from portrait.server.profiles.customer_value import CustomerValue, ValueSegment, ValueTier
from portrait.server.profiles.profile import Profile
from portrait.server.release.traits import Trait, TraitValue

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TRAITS = ("buys", "lapses")
DIMENSION = 4
STATE = "a state"
DESCRIPTION = TableDescription(7, 1, "", 0, DIMENSION, list(TRAITS), [], 0, 0, 0, STATE)


def make_interest(path: tuple[str, ...], weight: float, *, inferred: bool = False) -> Interest:
    return Interest(path, weight, 0.5, (), weight, weight, None, None, None, inferred)


def make_value(tier: ValueTier, segment: ValueSegment, scores: tuple[int, int, int | None]) -> CustomerValue:
    return CustomerValue(tier, segment, 1.0, 1, None, *scores, 90.0, 1.0, (), NOW)


def make_profile(
    interests: Sequence[Interest] = (),
    worth: CustomerValue | None = None,
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


def make_table(
    profiles: Mapping[str, Profile], folder: Path, description: TableDescription = DESCRIPTION, snapshot: int = 1
) -> AudienceTable:
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(profiles.items(), key=lambda each: encode_key(each[0]))
    write_table(ordered, dataclasses.replace(description, snapshot=snapshot), folder)
    return AudienceTable.open(folder)
