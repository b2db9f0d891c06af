"""Traffic: which release serves which shoppers, as an operator set it in a file that every gateway watches.

`<model_repository>/releases/traffic.json`, for example

    {"serving": 3, "previous": 2, "canary": 4, "percent": 5.0}
"""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.features.files.regular_files import read_regular_file
from portrait.features.release.layout import MAX_RELEASE, list_releases
from portrait.features.release.manifest import ReleaseError

FILE = "traffic.json"
_MAX_BYTES = 64 << 10
"""A larger file is refused unread."""


class TrafficError(Exception):
    """The file is not what it may be, or a change of it makes no sense."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The shares of shoppers that each release serves."""

    serving: int
    """The release of all shoppers but those of the canary."""
    previous: int | None = None
    """The one that served before: what a rollback returns to."""
    canary: int | None = None
    """A release that is tried on some shoppers."""
    percent: float = 0.0
    """Share of the shoppers that the canary serves, in percent: more than 0 and at most 100; 0 without a canary."""

    def __post_init__(self) -> None:
        numbers = (self.serving, self.previous, self.canary)
        if not all(_is_release(number) for number in numbers if number is not None) or self.serving is None:
            raise TrafficError(f"a release is a number from 1 to {MAX_RELEASE}, not {_shown(numbers)}")
        if isinstance(self.percent, bool) or not isinstance(self.percent, int | float):
            raise TrafficError(f"percent is no number: {_shown(self.percent)}")
        if not 0 <= self.percent <= 100:  # NaN too
            raise TrafficError(f"percent is {_shown(self.percent)}; the limit is 0 to 100")
        if (self.canary is None) != (self.percent == 0):
            raise TrafficError("a canary and its percentage go together")
        if self.canary == self.serving:
            raise TrafficError(f"release {self.serving} serves already: it can't be its own canary")

    def promoted(self, release: int) -> "Traffic":
        """All shoppers to a release; a canary ends."""
        previous = self.previous if release == self.serving else self.serving
        return Traffic(release, previous)

    def rolled_back(self) -> "Traffic":
        """All shoppers to the release that served before; a canary ends.

        Raises:
            TrafficError: there was none.
        """
        if self.previous is None:
            raise TrafficError("no release served before this one: nothing to return to")
        return Traffic(self.previous, self.serving)

    def with_canary(self, release: int, percent: float) -> "Traffic":
        """A release tried on some shoppers, in place of any that is tried now; 0 percent ends that.

        Raises:
            TrafficError: the release serves all already, or the percentage is none.
        """
        if percent == 0:
            return dataclasses.replace(self, canary=None, percent=0.0)
        return dataclasses.replace(self, canary=release, percent=float(percent))

    @property
    def routed(self) -> tuple[int, ...]:
        """The releases that requests go to."""
        return (self.serving,) if self.canary is None else (self.serving, self.canary)

    @property
    def kept(self) -> frozenset[int]:
        """The releases that are worth their memory: those of requests, and what a rollback returns to."""
        return frozenset(number for number in (*self.routed, self.previous) if number is not None)

    def release_of(self, shopper_id: str) -> int:
        """The release of a shopper; of one without id, that which serves.

        The draw depends on shopper and canary only. So a shopper stays with one release, a higher percentage
        keeps those who were drawn before, and another canary draws other shoppers.
        """
        if self.canary is None or not shopper_id:
            return self.serving
        return self.canary if _draw(shopper_id, self.canary) < self.percent else self.serving

    @classmethod
    def read(cls, repository: Path) -> "Traffic | None":
        """Read the repository's file; None if there is no file.

        Raises:
            TrafficError: it is not what it may be.
            OSError: it can't be read.
        """
        path = file_of(repository)
        try:
            return cls.parse(read_regular_file(path, None, _MAX_BYTES), str(path))
        except FileNotFoundError:
            return None

    @classmethod
    def parse(cls, content: bytes, source: str) -> "Traffic":
        """Read what `to_json` wrote.

        Args:
            content: the JSON.
            source: where it stood, for messages.

        Raises:
            TrafficError: it is not what it may be.
        """
        try:
            fields: dict[str, Any] = json.loads(content.decode())
            return cls(**fields)
        except (TrafficError, ValueError, TypeError, RecursionError) as error:
            raise TrafficError(f"{source}: {error}") from error

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def of(cls, repository: Path) -> "Traffic":
        """Read the repository's file; without a file, the newest release serves all.

        Raises:
            TrafficError: the file is not what it may be.
            OSError: it can't be read.
            ReleaseError: there is no file, and no release.
        """
        traffic = cls.read(repository)
        if traffic is not None:
            return traffic
        found = list_releases(repository)
        if not found:
            raise ReleaseError(f"{repository} holds no release: run `portrait export` or `portrait release pull` first")
        return cls(found[-1])

    def write(self, repository: Path) -> None:
        """Replace the file, all of it or nothing.

        Raises:
            OSError: it can't be written.
        """
        path = file_of(repository)
        temporary = path.with_name(f".{FILE}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(self.to_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)  # of a write that failed


def file_of(repository: Path) -> Path:
    """Return the path of the file."""
    return repository / "releases" / FILE


def _is_release(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MAX_RELEASE


def _shown(value: object) -> str:
    """A value of the file, short enough for a line of the log."""
    return repr(value)[:100]


def _draw(shopper_id: str, canary: int) -> float:
    """A number from 0 to 100, the same for the same shopper and canary, in every gateway."""
    digest = hashlib.blake2b(f"{canary}:{shopper_id}".encode(), digest_size=8).digest()
    return 100.0 * int.from_bytes(digest, "big") / 2**64
