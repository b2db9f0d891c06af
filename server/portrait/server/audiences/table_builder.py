"""Build the audience table of a release: the profile of every recorded shopper, by the engine that serves profiles.

A build writes parts of `PART_SHOPPERS` shoppers and then merges them into one table, which replaces the last table
atomically. The next build resumes one that was cut short. Several processes may share a build, each with a shard of the
shoppers; the last that is ready merges.
"""

import asyncio
import dataclasses
import json
import shutil
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np

from portrait.server.audiences.build_plan import WHOLE, BuildPlan, Shard, hold_plan, hold_shard, require_alone
from portrait.server.audiences.search import ShopperFilter
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table import (
    CHUNK_ROWS,
    DESCRIPTION_FILE,
    AudienceTable,
    Rows,
    TableDescription,
    encode_key,
    list_columns,
    write_table,
)
from portrait.server.audiences.table_merge import MergeSource, merge_tables
from portrait.server.audiences.trait_calibration import read_calibrations
from portrait.server.engine import Engine
from portrait.server.identities import list_ids
from portrait.server.profiles.compute import compute_profile
from portrait.server.profiles.profile import Profile
from portrait.server.sensitivity.release_topics import AUDIENCE_USES
from portrait.server.storage.histories import read_history
from portrait.server.storage.private_files import make_private_folder
from portrait.server.storage.store import Store

PART_SHOPPERS = 2_048
"""Shoppers of a part, in a shard less than twice as many: so many are in memory, and computed again at most."""
_MAX_CONCURRENT_PROFILES = 128
"""Profiles that are computed at one time, so that models get full batches."""

_FIELDS = frozenset({"interests", "customer_value", "embedding", "traits"})
_BUILD_FOLDER, _LAST_SHOPPER_FILE, _READY_FILE = ".building", "through.json", "ready"


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """The progress of a build."""

    shoppers: int
    """Number of profiles computed in this build."""
    seconds: float


async def build_table(
    engine: Engine,
    store: Store,
    snapshots: TableSnapshots,
    permitted: ShopperFilter,
    *,
    full: bool = False,
    as_of: datetime | None = None,
    tell: Callable[[BuildProgress], None] = lambda _: None,
) -> AudienceTable:
    """Make a table, or bring the last one up to date: the rows of shoppers with events since are computed again.

    Args:
        engine: of the release.
        store: has the events.
        snapshots: where tables are.
        permitted: who may stand in the table.
        full: compute all rows, also if there is a table.
        as_of: the moment of all profiles; None for now.
        tell: is told after each part.

    Raises:
        TableBuildError: another run makes a table of the release.
        PortraitError: the models do not answer; what was computed is kept for the next run.
    """
    table = await build_shard(engine, store, snapshots, permitted, WHOLE, full=full, as_of=as_of, tell=tell)
    assert table is not None
    return table


async def build_shard(
    engine: Engine,
    store: Store,
    snapshots: TableSnapshots,
    permitted: ShopperFilter,
    shard: Shard,
    *,
    full: bool = False,
    as_of: datetime | None = None,
    tell: Callable[[BuildProgress], None] = lambda _: None,
) -> AudienceTable | None:
    """Compute a shard of a table; if all others are ready, make the table of them. See `build_table`.

    Returns:
        the table; None if other shards are not ready.

    Raises:
        TableBuildError: another run computes the shard, or builds a table of the release by another plan.
        PortraitError: the models do not answer; what was computed is kept for the next run.
    """
    folder = snapshots.release_folder(engine.release.identity)
    for private in (folder.parent, folder):
        make_private_folder(private)
    with ExitStack() as holding:
        async with hold_plan(folder):
            holding.enter_context(hold_shard(folder, shard))
            base = None if full else snapshots.open_newest(engine.release.identity)
            if base is not None and base.description.policy != engine.topics.policy.identity:
                base = None  # its rows tell what may not be told now, or lack what may
            last_snapshot = max(snapshots.list_numbers(engine.release.identity), default=0)
            build = _TableBuild(engine, store, permitted, base, last_snapshot, shard, folder)
            plan, changed = await build.begin(as_of)
        await build.write_parts(plan, changed, tell)
        async with hold_plan(folder):
            return await build.publish(snapshots, plan, changed) if build.is_complete() else None


class _TableBuild:
    """One process's share of a build of a table; if it is cut short, the next one resumes it."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        permitted: ShopperFilter,
        base: AudienceTable | None,
        last_snapshot: int,
        shard: Shard,
        release_folder: Path,
    ) -> None:
        self._engine, self._store, self._permitted = engine, store, permitted
        self._base, self._last_snapshot, self._shard = base, last_snapshot, shard
        self._release_folder, self._folder = release_folder, release_folder / _BUILD_FOLDER

    async def begin(self, as_of: datetime | None) -> tuple[BuildPlan, list[str] | None]:
        """Begin the build or go on with the one that was begun, within `hold_plan`.

        Returns:
            its plan, and the shoppers whose rows it computes, ascending; None for all shoppers.
        """
        plan = BuildPlan(
            base=self._base.description.snapshot if self._base else None,
            first_arrival=self._base.description.last_arrival if self._base else 0,
            last_arrival=await self._store.last_arrival(),
            as_of=as_of.isoformat() if as_of else None,
            state=self._store.identity,
            policy=self._engine.topics.policy.identity,
            last_forgotten=await self._store.last_forgotten(),
            shards=self._shard.count,
            columns=" ".join(list_columns(self._describe_table(0, 0), 1)),
        )
        before = BuildPlan.read(self._folder)
        if before is not None and plan.is_continued_by(before[0]):
            return before
        require_alone(self._release_folder, self._shard)
        self._clear()
        self._folder.mkdir()
        changed = None
        if self._base is not None:
            arrived = await self._store.shoppers_with_arrivals(plan.first_arrival, plan.last_arrival)
            identities = await self._store.identities(arrived)
            # The row of a login has the events of all ids; a linked id has no row, and loses one that it had.
            changed = sorted({*arrived, *(each.login_id for each in identities.values())}, key=str.encode)
        plan.write(self._folder, changed)
        return plan, changed

    def is_complete(self) -> bool:
        """Tell whether all shards are ready."""
        return all((folder / _READY_FILE).exists() for folder in self._list_shard_folders())

    async def publish(self, snapshots: TableSnapshots, plan: BuildPlan, changed: list[str] | None) -> AudienceTable:
        """Make the table of all parts of all shards, within `hold_plan`."""
        folders = [part for folder in self._list_shard_folders() for part in sorted(folder.glob("[0-9]*"))]
        parts = [AudienceTable.open(part) for part in folders if (part / DESCRIPTION_FILE).exists()]
        sources = [MergeSource(part, np.arange(len(part))) for part in parts]
        if self._base is not None:
            sources.append(MergeSource(self._base, await self._find_unchanged(self._base, changed or [])))
        description = dataclasses.replace(
            self._describe_table(plan.last_arrival, plan.last_forgotten),
            calibrations=[dataclasses.asdict(each) for each in read_calibrations(self._release_folder)],
        )
        whole = self._folder / "table"
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        await asyncio.to_thread(merge_tables, sources, description, whole)
        release = self._engine.release.identity
        await asyncio.to_thread(snapshots.publish, whole, release, description.snapshot)
        self._clear()
        made = snapshots.open(release, description.snapshot)
        assert made is not None
        return made

    def _list_shard_folders(self) -> list[Path]:
        count = self._shard.count
        return [self._folder / Shard(number, count).file_name for number in range(1, count + 1)]

    def _clear(self) -> None:
        """Remove the files of builds; the plan first, so that no build resumes from an incomplete folder."""
        BuildPlan.remove(self._folder)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def write_parts(
        self, plan: BuildPlan, changed: list[str] | None, tell: Callable[[BuildProgress], None]
    ) -> None:
        """Write the missing parts of the shard, and say that it is ready."""
        folder = self._folder / self._shard.file_name
        folder.mkdir(exist_ok=True)
        through, done, begun = "", 0, time.monotonic()
        as_of = datetime.fromisoformat(plan.as_of) if plan.as_of else None
        mine = None if changed is None else [*filter(self._shard.holds, changed)]
        for number in count():
            part = folder / f"{number:06}"
            if (part / DESCRIPTION_FILE).exists():
                through = json.loads((part / _LAST_SHOPPER_FILE).read_text(encoding="utf-8"))
                continue
            shoppers, through = await self._list_next(through, mine)
            if not shoppers:
                break
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            (part / _LAST_SHOPPER_FILE).write_text(json.dumps(through), encoding="utf-8")
            await self._write_part(shoppers, as_of, part)
            done += len(shoppers)
            tell(BuildProgress(done, time.monotonic() - begun))
        (folder / _READY_FILE).touch()

    async def _list_next(self, through: str, mine: list[str] | None) -> tuple[list[str], str]:
        """List the next shoppers to compute, in the order of their ids; and the last that was looked at."""
        if mine is not None:
            begin = bisect_right(mine, through.encode(), key=str.encode)
            found = mine[begin : begin + PART_SHOPPERS]
            return found, found[-1] if found else through
        found = []
        while len(found) < PART_SHOPPERS and (page := await self._store.shoppers(through, PART_SHOPPERS)):
            found += filter(self._shard.holds, page)
            through = page[-1]
        return found, through

    async def _write_part(self, shoppers: list[str], as_of: datetime | None, folder: Path) -> None:
        identities = await self._store.identities(shoppers)
        ids = {each: all_ids for each in shoppers if (all_ids := list_ids(identities, each))[0] == each}
        chosen = sorted(await self._permitted([*ids]), key=encode_key)
        profiles: list[tuple[str, Profile]] = []
        for begin in range(0, len(chosen), _MAX_CONCURRENT_PROFILES):
            together = chosen[begin : begin + _MAX_CONCURRENT_PROFILES]
            made = await asyncio.gather(*(self._compute_profile(ids[each], as_of) for each in together))
            profiles += [(each, found) for each, found in zip(together, made, strict=True) if found is not None]
        await asyncio.to_thread(write_table, profiles, self._describe_table(0, 0), folder)

    async def _compute_profile(self, shopper_ids: Sequence[str], as_of: datetime | None) -> Profile | None:
        """Compute a profile as GetProfile does, for audiences; None if no event was recorded up to the moment.

        Nobody's age is looked up: a table outlives a declaration.
        """
        history = await read_history(self._store, shopper_ids, as_of)
        if not history.events:
            return None
        return await compute_profile(
            self._engine,
            history.events,
            history.as_of,
            fields=_FIELDS,
            deadline=None,
            uses=AUDIENCE_USES,
            reviews=await self._store.applied_reviews(shopper_ids),
        )

    async def _find_unchanged(self, base: AudienceTable, changed: list[str]) -> Rows:
        """Find the rows to keep: their shoppers have no new events, still give consent, and were not forgotten."""
        rows = np.setdiff1d(np.arange(len(base)), base.find_rows(changed), assume_unique=True)
        kept = [rows[:0]]
        for begin in range(0, len(rows), CHUNK_ROWS):
            stay = await self._permitted(base.shopper_ids(rows[begin : begin + CHUNK_ROWS]))
            kept.append(
                base.find_rows(stay - await self._store.forgotten_since(base.description.last_forgotten, [*stay]))
            )
        return np.concatenate(kept)

    def _describe_table(self, last_arrival: int, last_forgotten: int) -> TableDescription:
        release, now = self._engine.release, datetime.now(UTC)
        return TableDescription(
            release=release.number,
            # Of a table that was deleted, no number is given again; and the clock may have been set back.
            snapshot=max(self._last_snapshot + 1, time.time_ns() // 1_000_000),
            created_at=now.isoformat(),
            shoppers=0,
            dimension=release.dimension,
            traits=[trait.name for trait in release.traits if not trait.absent],
            paths=[],
            last_arrival=last_arrival,
            oldest_as_of=0,
            newest_as_of=0,
            state=self._store.identity,
            policy=self._engine.topics.policy.identity,
            last_forgotten=last_forgotten,
        )
