"""Build the audience table of a release: the profile of every recorded shopper, by the engine that serves profiles.

A build writes parts of `PART_SHOPPERS` shoppers and then merges them into one table, which replaces the last table
atomically. The next build resumes one that was cut short.
"""

import asyncio
import dataclasses
import fcntl
import json
import shutil
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np

from portrait.features.files.atomic_write import atomic_write
from portrait.server.audiences.search import ShopperFilter
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table import (
    CHUNK_ROWS,
    DESCRIPTION_FILE,
    AudienceTable,
    Rows,
    TableDescription,
    encode_key,
    write_table,
)
from portrait.server.audiences.table_merge import MergeSource, merge_tables
from portrait.server.engine import Engine
from portrait.server.identities import list_ids
from portrait.server.profiles.compute import compute_profile
from portrait.server.profiles.profile import Profile
from portrait.server.sensitivity.release_topics import AUDIENCE_USES
from portrait.server.storage.histories import read_history
from portrait.server.storage.private_files import make_private_folder
from portrait.server.storage.store import Store

PART_SHOPPERS = 2_048
"""Shoppers of a part: as many profiles are in memory at one time, and so many are computed again at most."""
_MAX_CONCURRENT_PROFILES = 128
"""Profiles that are computed at one time, so that models get full batches."""

_FIELDS = frozenset({"interests", "customer_value", "embedding", "traits"})
_BUILD_FOLDER, _PLAN_FILE, _LAST_SHOPPER_FILE, _LOCK_FILE = ".building", "plan.json", "through.json", ".lock"


class TableBuildError(Exception):
    """The table cannot be built now."""


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """The progress of a build."""

    shoppers: int
    """Number of profiles computed in this build."""
    seconds: float


@dataclass(frozen=True, slots=True)
class _BuildPlan:
    """The plan of a build. A build that finds an equal plan on the disk resumes it."""

    base: int | None
    """The snapshot whose rows stay, except of shoppers with events since; None to compute all."""
    first_arrival: int
    last_arrival: int
    """The events that the shoppers of the run have, by arrival: after the first, up to the last."""
    as_of: str | None
    """ISO 8601; None for the moment at which each profile is computed."""
    state: str
    """Identity of the store."""
    policy: str = ""
    """Identity of the sensitive topics."""
    last_forgotten: int = 0
    """Number of the last deletion before the build, which may have read events of shoppers forgotten later."""

    def is_continued_by(self, other: "_BuildPlan") -> bool:
        """Tell whether the parts written under the other plan are parts of this one."""
        mine = (self.base, self.as_of, self.state, self.policy)
        return mine == (other.base, other.as_of, other.state, other.policy)

    def write(self, path: Path) -> None:
        """Write as JSON."""
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "_BuildPlan | None":
        """The inverse of `write_table`; None if there is none, or one that an earlier version has left half written."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None


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
        TabulationError: another run makes a table of the release.
        PortraitError: the models do not answer; what was computed is kept for the next run.
    """
    folder = snapshots.release_folder(engine.release.identity)
    for private in (folder.parent, folder):
        make_private_folder(private)
    with _lock_folder(folder):
        base = None if full else snapshots.open_newest(engine.release.identity)
        if base is not None and base.description.policy != engine.topics.policy.identity:
            base = None  # its rows tell what may not be told now, or lack what may
        last_snapshot = max(snapshots.list_numbers(engine.release.identity), default=0)
        run = _TableBuild(engine, store, permitted, base, last_snapshot, folder / _BUILD_FOLDER)
        return await run.run(snapshots, as_of, tell)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    with (folder / _LOCK_FILE).open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TableBuildError(f"another run makes a table in {folder}") from None
        yield


class _TableBuild:
    """One build of a table; if it is cut short, the next one resumes it."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        permitted: ShopperFilter,
        base: AudienceTable | None,
        last_snapshot: int,
        folder: Path,
    ) -> None:
        self._engine, self._store, self._permitted = engine, store, permitted
        self._base, self._last_snapshot, self._folder = base, last_snapshot, folder

    async def run(
        self, snapshots: TableSnapshots, as_of: datetime | None, tell: Callable[[BuildProgress], None]
    ) -> AudienceTable:
        plan = self._start_or_resume(
            _BuildPlan(
                base=self._base.description.snapshot if self._base else None,
                first_arrival=self._base.description.last_arrival if self._base else 0,
                last_arrival=await self._store.last_arrival(),
                as_of=as_of.isoformat() if as_of else None,
                state=self._store.identity,
                policy=self._engine.topics.policy.identity,
                last_forgotten=await self._store.last_forgotten(),
            )
        )
        changed = None
        if self._base is not None:
            arrived = await self._store.shoppers_with_arrivals(plan.first_arrival, plan.last_arrival)
            identities = await self._store.identities(arrived)
            # The row of a login has the events of all ids; a linked id has no row, and loses one that it had.
            changed = sorted({*arrived, *(each.login_id for each in identities.values())}, key=str.encode)
        parts = [AudienceTable.open(part) async for part in self._write_parts(plan, changed, tell)]
        sources = [MergeSource(part, np.arange(len(part))) for part in parts]
        if self._base is not None:
            sources.append(MergeSource(self._base, await self._find_unchanged(self._base, changed or [])))
        description = self._describe_table(plan.last_arrival, plan.last_forgotten)
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

    def _start_or_resume(self, plan: _BuildPlan) -> _BuildPlan:
        """Return the plan of the build that was cut short if it equals this one; otherwise start this one."""
        before = _BuildPlan.read(self._folder / _PLAN_FILE)
        if before is not None and plan.is_continued_by(before):
            return before
        self._clear()
        self._folder.mkdir()
        plan.write(self._folder / _PLAN_FILE)
        return plan

    def _clear(self) -> None:
        """Remove the files of builds; the plan first, so that no build resumes from an incomplete folder."""
        (self._folder / _PLAN_FILE).unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _write_parts(
        self, plan: _BuildPlan, changed: list[str] | None, tell: Callable[[BuildProgress], None]
    ) -> AsyncIterator[Path]:
        """Yield the folders of all parts, and write the missing ones."""
        through, done, begun = "", 0, time.monotonic()
        as_of = datetime.fromisoformat(plan.as_of) if plan.as_of else None
        for number in count():
            part = self._folder / f"{number:06}"
            if not (part / DESCRIPTION_FILE).exists():
                shoppers = await self._list_next(through, changed)
                if not shoppers:
                    return
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                (part / _LAST_SHOPPER_FILE).write_text(json.dumps(shoppers[-1]), encoding="utf-8")
                await self._write_part(shoppers, as_of, part)
                done += len(shoppers)
                tell(BuildProgress(done, time.monotonic() - begun))
            through = json.loads((part / _LAST_SHOPPER_FILE).read_text(encoding="utf-8"))
            yield part

    async def _list_next(self, through: str, changed: list[str] | None) -> list[str]:
        """List the next shoppers to compute, in the order of their ids."""
        if changed is None:
            return await self._store.shoppers(through, PART_SHOPPERS)
        begin = bisect_right(changed, through.encode(), key=str.encode)
        return changed[begin : begin + PART_SHOPPERS]

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
