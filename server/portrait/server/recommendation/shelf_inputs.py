"""Inputs of the sources of shelves, and what they find."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from portrait.features.events import Event
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.server.catalogue.snapshot import Selection, Snapshot
from portrait.server.recommendation.rule_plan import RulePlan
from portrait.server.recommendation.shelf_evidence import ShelfEvidence
from portrait.server.release.release import Release


@dataclass(frozen=True, slots=True)
class ShelfEntry:
    """An item that belongs on a shelf."""

    row: int
    evidence: ShelfEvidence
    rules: tuple[str, ...] = ()
    """Names of the shop's rules that put it there."""


@dataclass(frozen=True, slots=True)
class ShelfInputs:
    """The inputs of every source."""

    release: Release
    catalogue: Snapshot
    allowed: Selection
    """Rows that may be shown; never those of `anchors`."""
    anchors: Mapping[str, int]
    """Rows of the items of the request, by their ids."""
    history: Sequence[Event]
    """The shopper's events, oldest first, nothing later than `as_of`."""
    as_of: datetime
    count: int
    """Number of items that are looked for, where most of the catalogue would do: more than are shown, as rules leave
    out some."""
    plan: RulePlan | None

    def may_show(self, rows: Iterable[int]) -> dict[int, bool]:
        """Tell which of some rows may be shown."""
        listed = np.array(list(rows), dtype=np.int64)
        return dict(zip(listed.tolist(), self.catalogue.holds(self.allowed, listed).tolist(), strict=True))

    def days_since(self, time: datetime | None) -> float | None:
        """Return the days from a time to `as_of`."""
        return None if time is None else (self.as_of - time).total_seconds() / SECONDS_PER_DAY
