"""The plan, the shards and the locks that the processes that build an audience table share."""

import asyncio
import dataclasses
import fcntl
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from portrait.features.files.atomic_write import atomic_write

MAX_SHARDS = 1_000
_LOCK_FILE = ".lock"
_PLAN_FILE, _CHANGED_FILE = "plan.json", "changed.json"
_POLL_SECONDS = 0.1
_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


class TableBuildError(Exception):
    """The table cannot be built now."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of all shoppers, by a hash of their ids: one of as many equal ones as `count`."""

    number: int = 1
    """From 1."""
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse a shard such as `2/4`.

        Raises:
            ValueError: it has another form, or there is no such shard.
        """
        matched = _SHARD.fullmatch(text)
        number, count = (int(each) for each in matched.groups()) if matched else (0, 0)
        if not 1 <= number <= count <= MAX_SHARDS:
            raise ValueError(f"{text!r} is no shard, which is NUMBER/COUNT: from 1/COUNT to COUNT/COUNT, "
                             f"with a COUNT from 1 to {MAX_SHARDS:,}")  # fmt: skip
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def file_name(self) -> str:
        """Its name in names of files."""
        return f"{self.number}-of-{self.count}"

    def holds(self, shopper_id: str) -> bool:
        """Tell whether a shopper is in it."""
        digest = blake2b(shopper_id.encode(), digest_size=8).digest()
        return int.from_bytes(digest) % self.count == self.number - 1


WHOLE = Shard()
"""All shoppers."""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """The plan of a build. A process that finds an equal plan on the disk goes on with it."""

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
    shards: int = 1
    columns: str = ""
    """Names of the table's columns; an earlier version may have written others."""

    def is_continued_by(self, other: "BuildPlan") -> bool:
        """Tell whether the parts written under the other plan are parts of this one."""
        mine, others = (
            (each.base, each.as_of, each.state, each.policy, each.shards, each.columns) for each in (self, other)
        )
        return mine == others

    def write(self, folder: Path, changed: list[str] | None) -> None:
        """Write it, with the shoppers whose rows are to be computed; None for all. The plan itself is written last."""
        with atomic_write(folder / _CHANGED_FILE) as temporary:
            temporary.write_text(json.dumps(changed), encoding="utf-8")
        with atomic_write(folder / _PLAN_FILE) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "tuple[BuildPlan, list[str] | None] | None":
        """The inverse of `write`; None if there is none, or one that an earlier version wrote or left half written."""
        try:
            plan = cls(**json.loads((folder / _PLAN_FILE).read_text(encoding="utf-8")))
            return plan, json.loads((folder / _CHANGED_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove it, so that no process goes on with what else is in the folder."""
        (folder / _PLAN_FILE).unlink(missing_ok=True)


@contextmanager
def hold_shard(folder: Path, shard: Shard) -> Iterator[None]:
    """Be the only one who computes a shard of the tables in a folder; begins within `hold_plan`.

    Raises:
        TableBuildError: another process does.
    """
    with _hold_file(folder / f"{_LOCK_FILE}-{shard.file_name}"):
        yield


@asynccontextmanager
async def hold_plan(folder: Path) -> AsyncIterator[None]:
    """Be the only one who looks at a build, begins it or ends it; waits for the others."""
    with (folder / _LOCK_FILE).open("w", encoding="utf-8") as file:
        while not _try_lock(file.fileno()):  # noqa: ASYNC110 - held by another process
            await asyncio.sleep(_POLL_SECONDS)
        yield


def require_alone(folder: Path, shard: Shard) -> None:
    """Require that no other shard is computed, by whatever plan; within `hold_plan`, so that none begins meanwhile.

    Raises:
        TableBuildError: one is.
    """
    for path in folder.glob(f"{_LOCK_FILE}-*"):
        if path.name != f"{_LOCK_FILE}-{shard.file_name}":
            with _hold_file(path):
                pass


@contextmanager
def _hold_file(path: Path) -> Iterator[None]:
    with path.open("w", encoding="utf-8") as file:
        if not _try_lock(file.fileno()):
            raise TableBuildError(f"another run makes a table in {path.parent}")
        yield


def _try_lock(file: int) -> bool:
    """Lock a file until it is closed; False if another holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
