"""Search for audiences, in a thread of its own and chunk by chunk; an audience that is too small is never named."""

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
from portrait.server.audiences.criteria import Audience, Criterion, LookAlike, RegionCriterion, SeedCriteria
from portrait.server.audiences.lookalikes import SeedCentroid, compute_similarities
from portrait.server.audiences.matchers import Mask, Matcher, make_matcher, read_embeddings
from portrait.server.audiences.table import CHUNK_ROWS, AudienceTable, Rows
from portrait.server.profiles.label_interests import compute_direction

R = TypeVar("R")

ShopperFilter = Callable[[Sequence[str]], Awaitable[Set[str]]]
"""Returns those of some shoppers who currently meet a condition that the table does not hold."""
EligibilityFilter = Callable[[int, int, Sequence[str]], Awaitable[Set[str]]]
"""Returns those of some shoppers who may be part of an audience now; the numbers are those of the table's description:
`last_forgotten` and `last_arrival`."""
RegionFilter = Callable[[Set[str], Sequence[str]], Awaitable[Set[str]]]
"""Returns those of some shoppers who declared one of some regions and currently allow its use."""


class AudienceOutcome(StrEnum):
    """The outcome of a search for an audience."""

    FOUND = "found"
    TOO_FEW = "too_few"
    SEED_TOO_SMALL = "seed_too_small"


@dataclass(frozen=True, slots=True)
class AudienceResult:
    """An audience."""

    outcome: AudienceOutcome
    rows: Rows
    """Ascending; none unless it was found."""
    similarity: NDArray[np.float32] | None = None
    """`[rows]`; None unless look-alikes were asked for."""


_NO_ROWS = np.zeros(0, dtype=np.int64)


class AudienceSearch:
    """Finds audiences in audience tables.

    Args:
        minimum: shoppers that an audience, and the seed of look-alikes, must have.
        permitted: asked last, of those who meet everything else.
        living: asked where regions are, of those who meet what the table says.
    """

    def __init__(self, minimum: int, permitted: EligibilityFilter, living: RegionFilter) -> None:
        self.min_size = minimum
        self._filter_permitted, self._filter_by_region = permitted, living
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audiences")
        self.outcomes: Counter[AudienceOutcome] = Counter()

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def find(
        self, audience: Audience, table: AudienceTable, profiles: ProfileDistribution | None
    ) -> AudienceResult:
        """Find an audience. A cancelled search stops after the current chunk of rows.

        Args:
            audience: its traits are ones that the table has.
            table: of all shoppers.
            profiles: of the table's release; None if it has no statistics, and then no labels are asked for.
        """
        found = await self._find(audience, table, profiles)
        self.outcomes[found.outcome] += 1
        return found

    async def _find(
        self, audience: Audience, table: AudienceTable, profiles: ProfileDistribution | None
    ) -> AudienceResult:
        rows = await self._find_rows(audience.criteria, table, profiles)
        similarity = None
        if audience.look_alike is not None:
            seed = await self._find_seed(audience.look_alike, table, profiles)
            if len(seed) < self.min_size:
                return AudienceResult(AudienceOutcome.SEED_TOO_SMALL, _NO_ROWS)
            rows = await self._run_in_thread(np.setdiff1d, rows, seed, True)
            rows, similarity = await self._select_look_alikes(audience.look_alike, rows, seed, table, profiles)
        may = await self._mark_permitted(table, rows)
        rows = rows[may]
        if len(rows) < self.min_size:
            return AudienceResult(AudienceOutcome.TOO_FEW, _NO_ROWS)
        return AudienceResult(AudienceOutcome.FOUND, rows, None if similarity is None else similarity[may])

    async def _find_rows(
        self, criteria: Sequence[Criterion], table: AudienceTable, profiles: ProfileDistribution | None
    ) -> Rows:
        """Find the rows that meet all criteria."""
        tests = [make_matcher(each, table, profiles) for each in criteria if not isinstance(each, RegionCriterion)]
        found = [await self._match_chunk(tests, chunk) for chunk in table.iterate_chunks()]
        rows = np.concatenate(found) if found else _NO_ROWS
        for each in criteria:
            if isinstance(each, RegionCriterion):
                rows = rows[await self._mark(partial(self._filter_by_region, each.regions), table, rows)]
        return rows

    async def _match_chunk(self, tests: Sequence[Matcher], rows: slice) -> Rows:
        """Find those of some rows that meet all matchers; each runs in its own step, as one may hold many labels."""
        met = np.ones(rows.stop - rows.start, dtype=bool)
        for meets in tests:
            met &= await self._run_in_thread(meets, rows)
            if not met.any():
                break
        return rows.start + np.flatnonzero(met)

    async def _find_seed(self, wanted: LookAlike, table: AudienceTable, profiles: ProfileDistribution | None) -> Rows:
        """Find the rows of a seed."""
        if isinstance(wanted.seed, SeedCriteria):
            rows = await self._find_rows(wanted.seed.criteria, table, profiles)
        else:
            rows = await self._run_in_thread(table.find_rows, wanted.seed.shopper_ids)
        return rows[await self._mark_permitted(table, rows)]

    async def _select_look_alikes(
        self, wanted: LookAlike, rows: Rows, seed: Rows, table: AudienceTable, profiles: ProfileDistribution | None
    ) -> tuple[Rows, NDArray[np.float32]]:
        """Select the rows that resemble a seed, with their similarities."""
        centre = SeedCentroid(table, seed)
        for step in centre.iterate_chunks():
            await self._run_in_thread(centre.add, step)
        towards = compute_direction([centre.mean], profiles)

        def like(part: Rows) -> NDArray[np.float32]:
            return compute_similarities(read_embeddings(table, part), towards, profiles)

        parts = [
            await self._run_in_thread(like, rows[begin : begin + CHUNK_ROWS])
            for begin in range(0, len(rows), CHUNK_ROWS)
        ]
        similarity = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
        kept = await self._run_in_thread(_select_similar, similarity, wanted)
        return rows[kept], similarity[kept]

    async def _mark_permitted(self, table: AudienceTable, rows: Rows) -> Mask:
        """`[rows]`: mark the shoppers who may be part of an audience."""
        begun = table.description
        return await self._mark(partial(self._filter_permitted, begun.last_forgotten, begun.last_arrival), table, rows)

    async def _mark(self, who: ShopperFilter, table: AudienceTable, rows: Rows) -> Mask:
        """`[rows]`: mark the shoppers whom a filter keeps."""
        among = np.zeros(len(rows), dtype=bool)
        for begin in range(0, len(rows), CHUNK_ROWS):
            chunk = slice(begin, begin + CHUNK_ROWS)
            shopper_ids = await self._run_in_thread(table.shopper_ids, rows[chunk])
            among[chunk] = await self._run_in_thread(_mark_members, shopper_ids, await who(shopper_ids))
        return among

    async def _run_in_thread(self, work: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def round_size(size: int, minimum: int) -> int:
    """Round a size for publication: to two digits, or to a multiple of the minimum where that is coarser.

    Args:
        size: 0, or at least the minimum.
        minimum: shoppers that an audience must have.
    """
    step = max(minimum, 10 ** (len(str(size)) - 2), 1)
    return step * ((size + step // 2) // step)


def _mark_members(shopper_ids: Sequence[str], chosen: Set[str]) -> list[bool]:
    return [shopper_id in chosen for shopper_id in shopper_ids]


def _select_similar(similarity: NDArray[np.float32], wanted: LookAlike) -> Rows:
    """Select the positions of the rows that are similar enough, ascending; ties go to the first."""
    if wanted.top is None:
        return np.flatnonzero(
            similarity >= np.float32(-1.0 if wanted.min_similarity is None else wanted.min_similarity)
        )
    known = np.flatnonzero(~np.isnan(similarity))
    return np.sort(known[np.argsort(-similarity[known], kind="stable")[: wanted.top]])
