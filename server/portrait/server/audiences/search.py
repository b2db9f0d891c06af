"""Finds audiences: in a thread of its own, a chunk of rows at a time, and names none that is too small."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from portrait.features.population.profile_distribution import ProfileDistribution
from portrait.server.audiences.criteria import Audience, Criterion, LookAlikes, RegionCriterion, SeedCriteria
from portrait.server.audiences.lookalikes import Centre, similarities
from portrait.server.audiences.matcher import Mask, Test, test, vectors
from portrait.server.audiences.table import CHUNK, Rows, ShopperTable
from portrait.server.profiles.labels import direction

R = TypeVar("R")

Chosen = Callable[[Sequence[str]], Awaitable[Set[str]]]
"""Of whom of some shoppers something holds that tables do not tell, at this moment."""
Permitted = Callable[[int, Sequence[str]], Awaitable[Set[str]]]
"""Who of some shoppers may be part of an audience, at this moment, by a table of some `last_forgotten`."""
Living = Callable[[Set[str], Sequence[str]], Awaitable[Set[str]]]
"""Who of some shoppers declared one of some regions, and allows to go by it, at this moment."""


class Outcome(StrEnum):
    """What became of an audience."""

    FOUND = "found"
    TOO_FEW = "too_few"
    SEED_TOO_SMALL = "seed_too_small"


@dataclass(frozen=True, slots=True)
class Found:
    """An audience."""

    outcome: Outcome
    rows: Rows
    """Ascending; none unless it was found."""
    similarity: NDArray[np.float32] | None = None
    """`[rows]`; None unless look-alikes were asked for."""


_NOBODY = np.zeros(0, dtype=np.int64)


class Finder:
    """Finds audiences in shopper tables.

    Args:
        minimum: shoppers that an audience, and the seed of look-alikes, must have.
        permitted: asked last, of those who meet everything else.
        living: asked where regions are, of those who meet what the table says.
    """

    def __init__(self, minimum: int, permitted: Permitted, living: Living) -> None:
        self.minimum = minimum
        self._permitted, self._living = permitted, living
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audiences")
        self.outcomes: Counter[Outcome] = Counter()

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def find(self, audience: Audience, table: ShopperTable, profiles: ProfileDistribution | None) -> Found:
        """Find an audience. Work that is cancelled ends with the chunk of rows that it is at.

        Args:
            audience: its traits are ones that the table has.
            table: of all shoppers.
            profiles: of the table's release; None if it has no statistics, and then no labels are asked for.
        """
        found = await self._find(audience, table, profiles)
        self.outcomes[found.outcome] += 1
        return found

    async def _find(self, audience: Audience, table: ShopperTable, profiles: ProfileDistribution | None) -> Found:
        rows = await self._meeting(audience.criteria, table, profiles)
        similarity = None
        if audience.look_alikes is not None:
            seed = await self._seed(audience.look_alikes, table, profiles)
            if len(seed) < self.minimum:
                return Found(Outcome.SEED_TOO_SMALL, _NOBODY)
            rows = await self._step(np.setdiff1d, rows, seed, True)
            rows, similarity = await self._alike(audience.look_alikes, rows, seed, table, profiles)
        may = await self._permitted_among(table, rows)
        rows = rows[may]
        if len(rows) < self.minimum:
            return Found(Outcome.TOO_FEW, _NOBODY)
        return Found(Outcome.FOUND, rows, None if similarity is None else similarity[may])

    async def _meeting(
        self, criteria: Sequence[Criterion], table: ShopperTable, profiles: ProfileDistribution | None
    ) -> Rows:
        """Rows that meet all of some criteria."""
        tests = [test(each, table, profiles) for each in criteria if not isinstance(each, RegionCriterion)]
        found = [await self._meeting_all(tests, chunk) for chunk in table.chunks()]
        rows = np.concatenate(found) if found else _NOBODY
        for each in criteria:
            if isinstance(each, RegionCriterion):
                rows = rows[await self._among(partial(self._living, each.regions), table, rows)]
        return rows

    async def _meeting_all(self, tests: Sequence[Test], rows: slice) -> Rows:
        """Those of some rows that meet all tests, each of which is a step: one may hold many labels."""
        met = np.ones(rows.stop - rows.start, dtype=bool)
        for meets in tests:
            met &= await self._step(meets, rows)
            if not met.any():
                break
        return rows.start + np.flatnonzero(met)

    async def _seed(self, wanted: LookAlikes, table: ShopperTable, profiles: ProfileDistribution | None) -> Rows:
        """Rows of a seed."""
        if isinstance(wanted.seed, SeedCriteria):
            rows = await self._meeting(wanted.seed.criteria, table, profiles)
        else:
            rows = await self._step(table.rows_of, wanted.seed.shopper_ids)
        return rows[await self._permitted_among(table, rows)]

    async def _alike(
        self, wanted: LookAlikes, rows: Rows, seed: Rows, table: ShopperTable, profiles: ProfileDistribution | None
    ) -> tuple[Rows, NDArray[np.float32]]:
        """Those of some rows that are like a seed, and how like."""
        centre = Centre(table, seed)
        for step in centre.steps():
            await self._step(centre.add, step)
        towards = direction([centre.mean], profiles)

        def like(part: Rows) -> NDArray[np.float32]:
            return similarities(vectors(table, part), towards, profiles)

        parts = [await self._step(like, rows[begin : begin + CHUNK]) for begin in range(0, len(rows), CHUNK)]
        similarity = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
        kept = await self._step(_most_alike, similarity, wanted)
        return rows[kept], similarity[kept]

    async def _permitted_among(self, table: ShopperTable, rows: Rows) -> Mask:
        """`[rows]`: who may be part of an audience."""
        return await self._among(partial(self._permitted, table.description.last_forgotten), table, rows)

    async def _among(self, who: Chosen, table: ShopperTable, rows: Rows) -> Mask:
        """`[rows]`: who is among those of whom something holds that the table does not tell."""
        among = np.zeros(len(rows), dtype=bool)
        for begin in range(0, len(rows), CHUNK):
            chunk = slice(begin, begin + CHUNK)
            shopper_ids = await self._step(table.shopper_ids, rows[chunk])
            among[chunk] = await self._step(_within, shopper_ids, await who(shopper_ids))
        return among

    async def _step(self, work: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def rounded(size: int, minimum: int) -> int:
    """A size as it is told: to two digits, and to a multiple of the minimum where that is coarser.

    Args:
        size: 0, or at least the minimum.
        minimum: shoppers that an audience must have.
    """
    step = max(minimum, 10 ** (len(str(size)) - 2), 1)
    return step * ((size + step // 2) // step)


def _within(shopper_ids: Sequence[str], chosen: Set[str]) -> list[bool]:
    return [shopper_id in chosen for shopper_id in shopper_ids]


def _most_alike(similarity: NDArray[np.float32], wanted: LookAlikes) -> Rows:
    """Places of the rows that are alike enough, ascending; of equally similar ones the first."""
    if wanted.top is None:
        return np.flatnonzero(
            similarity >= np.float32(-1.0 if wanted.min_similarity is None else wanted.min_similarity)
        )
    known = np.flatnonzero(~np.isnan(similarity))
    return np.sort(known[np.argsort(-similarity[known], kind="stable")[: wanted.top]])
