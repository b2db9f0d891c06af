"""Control of the traffic by the commands: by the file of one repository, or by the Redis of a whole fleet."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import ReleaseError, read_verified_manifest
from portrait.server.rollout.extras import connect_to_fleet
from portrait.server.rollout.gateway_status import Gateway
from portrait.server.rollout.traffic import Traffic

if TYPE_CHECKING:  # they need extras
    from portrait.server.rollout.fleet import Fleet, Report
    from portrait.server.rollout.release_archive import ReleaseArchive

T = TypeVar("T")

_POLL_SECONDS = 0.2


class Control(Protocol):
    """The releases that can be chosen, and the choice."""

    @property
    def place(self) -> str:
        """The repository, or the URL of the Redis without user and password."""
        ...

    def list_releases(self) -> list[int]:
        """The releases, oldest first; raises ReleaseError."""
        ...

    def describe(self, release: int) -> tuple[str, str]:
        """Return the creation time of a release, empty if it is unknown, and the state of its files."""
        ...

    def require(self, release: int) -> None:
        """Require that gateways can get a release and serve it; raises ReleaseError."""
        ...

    def require_previous(self, release: int) -> None:
        """Require the same of the release that served before, which gateways have; raises ReleaseError."""
        ...

    def read(self, beside: int | None) -> Traffic | None:
        """The traffic now; None if nothing serves.

        Args:
            beside: a release that was not chosen yet, though it may be the newest.

        Raises:
            TrafficError, OSError, PortraitError, StoreError: it can't be read.
        """
        ...

    def choose(self, traffic: Traffic) -> None:
        """Write the traffic anew, made of what `read` has returned.

        Raises:
            TrafficError, OSError, PortraitError, StoreError: it can't be written, or somebody else did meanwhile.
        """
        ...

    def wait(self, seconds: float) -> Mapping[str, str]:
        """Wait until the gateways that report by themselves follow what was chosen; returns what is wrong, by name."""
        ...

    def list_gateways(self) -> Mapping[str, Gateway]:
        """The gateways that report by themselves, by name."""
        ...


class FileControl:
    """The file `releases/traffic.json` of a repository. No gateway reports by itself.

    Args:
        repository: the model repository.
        archive: has the releases that can be chosen; None if the repository has them.
    """

    def __init__(self, repository: Path, archive: "ReleaseArchive | None") -> None:
        self._repository, self._archive = repository, archive

    @property
    def place(self) -> str:
        """The path of the repository."""
        return str(self._repository.resolve())

    def list_releases(self) -> list[int]:
        """The releases of the repository, and those of the archive."""
        archived = self._archive.list_releases() if self._archive else []
        return sorted({*list_releases(self._repository), *archived})

    def describe(self, release: int) -> tuple[str, str]:
        """Return the creation time of a release and the state of its files."""
        if self._archive and release not in list_releases(self._repository):
            created, state = self._archive.describe(release)
            return created, f"not pulled; {state}" if created else state
        try:
            manifest = read_verified_manifest(self._repository, release)
        except ReleaseError as error:
            return "", str(error)
        return manifest.created_at[:25], "whole"

    def require(self, release: int) -> None:
        """Require that the repository holds a whole release; pulls it if there is an archive."""
        if self._archive:
            self._archive.pull(self._repository, release)
        elif release not in (found := list_releases(self._repository)):
            there = ", ".join(map(str, found)) or "none"
            raise ReleaseError(f"{self._repository} holds no release {release}; those there are: {there}")
        read_verified_manifest(self._repository, release)

    def require_previous(self, release: int) -> None:
        """Require the same."""
        self.require(release)

    def read(self, beside: int | None) -> Traffic | None:
        """The file's traffic.

        Where nobody has chosen anything, gateways serve the release that was the newest when they started: taken to be
        the newest one beside that which is talked of.
        """
        traffic = Traffic.read(self._repository)
        found = list_releases(self._repository)
        if traffic is not None or not found:
            return traffic
        return Traffic(next((number for number in reversed(found) if number != beside), found[-1]))

    def choose(self, traffic: Traffic) -> None:
        """Write the file anew."""
        traffic.write(self._repository)

    def wait(self, seconds: float) -> Mapping[str, str]:
        """Return at once."""
        return {}

    def list_gateways(self) -> Mapping[str, Gateway]:
        """List none."""
        return {}


class FleetControl:
    """The traffic of all gateways on one Redis, which pull releases from one archive.

    Args:
        url: of the Redis.
        archive: has the releases.
    """

    def __init__(self, url: str, archive: "ReleaseArchive") -> None:
        self._url, self._archive = url, archive
        self._stamp: str | None = None
        self._traffic: Traffic | None = None

    @property
    def place(self) -> str:
        """The URL of the Redis without user and password."""
        scheme, _, rest = self._url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def list_releases(self) -> list[int]:
        """The releases of the archive."""
        return self._archive.list_releases()

    def describe(self, release: int) -> tuple[str, str]:
        """Return the creation time of a release and the state of its signature."""
        return self._archive.describe(release)

    def require(self, release: int) -> None:
        """Require that the archive holds a release and that an accepted key has signed it."""
        self._archive.require(release)

    def require_previous(self, release: int) -> None:
        """Require nothing: while the archive can't be reached, gateways still go back to what they have loaded."""

    def read(self, beside: int | None) -> Traffic | None:
        """The fleet's traffic; None before the first promotion."""

        async def read(fleet: "Fleet") -> tuple[str | None, Traffic | None]:
            return await fleet.read_stamp(), await fleet.read()

        self._stamp, traffic = self._ask(read)
        return traffic

    def choose(self, traffic: Traffic) -> None:
        """Write the fleet's traffic anew."""
        before = self._stamp
        self._stamp, self._traffic = self._ask(lambda fleet: fleet.choose(traffic, before)), traffic

    def wait(self, seconds: float) -> Mapping[str, str]:
        """Wait until every gateway has switched or has refused a release."""

        async def wait(fleet: "Fleet") -> Mapping[str, str]:
            until = asyncio.get_running_loop().time() + seconds
            while True:
                found = {name: self._find_problem(report) for name, report in (await fleet.list_reports()).items()}
                if _LATE not in found.values() or asyncio.get_running_loop().time() > until:
                    return {name: problem for name, problem in found.items() if problem is not None}
                await asyncio.sleep(_POLL_SECONDS)

        return self._ask(wait)

    def list_gateways(self) -> Mapping[str, Gateway]:
        """The gateways of the fleet."""
        reports = self._ask(lambda fleet: fleet.list_reports())
        return {name: report.gateway for name, report in reports.items()}

    def _find_problem(self, report: "Report") -> str | None:
        """Tell why a gateway does not serve what was chosen; None if it does, or follows nobody's choice."""
        assert self._traffic is not None
        gateway, wanted = report.gateway, self._traffic
        if report.stamp is None:
            return None
        if report.stamp != self._stamp:
            return _LATE
        if (gateway.serving, gateway.canary, gateway.percent) == (wanted.serving, wanted.canary, wanted.percent):
            return None
        refused = [
            f"refused release {each}: {gateway.refused[each]}" for each in wanted.routed if each in gateway.refused
        ]
        return "; ".join(refused) or _LATE

    def _ask(self, ask: "Callable[[Fleet], Awaitable[T]]") -> T:
        async def run() -> T:
            async with connect_to_fleet(self._url) as fleet:
                return await ask(fleet)

        return asyncio.run(run())


_LATE = "has not switched in time"


def open_control(repository: Path, state_url: str | None, archive: "ReleaseArchive | None") -> Control:
    """Decide what the commands control, as the gateway decides what it follows.

    Args:
        repository: the model repository.
        state_url: URL of the Redis that holds the state; None without one.
        archive: that gateways pull from; None without one.
    """
    if state_url is None or archive is None:
        return FileControl(repository, archive)
    return FleetControl(state_url, archive)
