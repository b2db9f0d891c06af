"""Releases in a Triton that processes share: loaded if they are whole, kept for as long as a process holds them."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from support import tiny_release

from portrait.features.release import layout as release_layout
from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import Manifest, ReleaseError, read_verified_manifest
from portrait.server.rollout.archived_releases import ArchivedReleases
from portrait.server.rollout.extras import open_release_archive
from portrait.server.rollout.gateway_status import GatewayError
from portrait.server.rollout.traffic import Traffic
from portrait.server.rollout.traffic_sources import FileTraffic
from portrait.server.rollout.triton_releases import POLL_SECONDS, TritonReleaseManager
from portrait.server.runtime.background import Background


class Noting:
    """Stands for a Triton that loads whatever it is asked for."""

    def __init__(self) -> None:
        self.held: list[int] = []

    async def load(self, release: int) -> None:
        self.held += [] if release in self.held else [release]

    async def unload(self, release: int) -> None:
        self.held = [each for each in self.held if each != release]

    def prefer(self, release: int) -> None: ...


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for number in (1, 2, 3, 4):
        tiny_release.build(tmp_path, number)
    return tmp_path


def block(repository: Path, release: int) -> None:
    """Put a pipe in place of a graph, which could be read for ever."""
    path = release_layout.model_file(repository, "ranker", release)
    path.unlink()
    os.mkfifo(path)


def manager(repository: Path, triton: Noting) -> TritonReleaseManager:
    return TritonReleaseManager(FileTraffic(repository), repository, None, triton, 0.0)


async def until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not seen():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def following(held: TritonReleaseManager, loaded: Callable[[], frozenset[int]]) -> AsyncIterator[None]:
    background = Background()
    background.repeat("held releases", partial(held.advance, loaded), POLL_SECONDS)
    yield
    await background.stop()


async def test_a_damaged_release_is_not_loaded_and_the_one_before_is(repository: Path) -> None:
    block(repository, 3)
    Traffic(3, 2).write(repository)
    triton = Noting()
    assert await manager(repository, triton).begin(None) == 2
    assert triton.held == [2]
    block(repository, 2)
    with pytest.raises(ReleaseError, match=r"ranker/3/model\.onnx"):
        await manager(repository, Noting()).begin(None)
    with pytest.raises(ReleaseError, match=r"ranker/3/model\.onnx"):
        await manager(repository, Noting()).begin(3)


async def test_what_processes_hold_is_kept_though_nothing_names_it(repository: Path) -> None:
    """Two damaged releases in a row: the processes go on with one that the file has forgotten."""
    Traffic(1).write(repository)
    block(repository, 3)
    block(repository, 4)
    triton, told = Noting(), frozenset({1})
    asked: list[frozenset[int]] = []

    def loaded() -> frozenset[int]:
        asked.append(told)
        if len(asked) == 1:
            raise GatewayError("busy")
        return told

    held = manager(repository, triton)
    await held.begin(None)
    async with following(held, loaded):
        Traffic(3, 1).write(repository)
        Traffic(4, 3).write(repository)
        await until(lambda: len(asked) > 2)
        assert triton.held == [1]
        Traffic(2).write(repository)
        told = frozenset({2})
        await until(lambda: triton.held == [2])


async def test_the_files_of_a_release_are_read_once_as_long_as_it_is_held(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def note(folder: Path, release: int) -> Manifest:
        read.append(release)
        return read_verified_manifest(folder, release)

    monkeypatch.setattr("portrait.server.rollout.triton_releases.read_verified_manifest", note)
    Traffic(1).write(repository)
    triton = Noting()
    held = manager(repository, triton)
    await held.begin(None)
    for _ in range(3):
        await held.advance(lambda: frozenset())
    assert read == [1]
    Traffic(2).write(repository)
    for _ in range(3):
        await held.advance(lambda: frozenset({2}))
    assert (read, triton.held) == ([1, 2], [2])
    Traffic(1).write(repository)
    await held.advance(lambda: frozenset({1}))
    assert read == [1, 2, 1]


async def test_a_release_of_an_archive_is_pulled_before_it_is_loaded(repository: Path, tmp_path: Path) -> None:
    archive, target = f"file://{tmp_path}/archive", tmp_path / "target"
    open_release_archive(archive, None).push(repository, 2, None)
    target.mkdir()
    releases, triton = ArchivedReleases(target, archive, None), Noting()
    held = TritonReleaseManager(FileTraffic(target), target, releases, triton, 0.0)
    assert await held.begin(2) == 2
    assert (triton.held, list_releases(target)) == ([2], [2])
    with pytest.raises(ReleaseError, match="holds no release 1; those there are: 2"):
        await held.begin(1)


async def test_a_pull_that_nobody_waits_for_any_more_disturbs_nobody(repository: Path, tmp_path: Path) -> None:
    archive, target = f"file://{tmp_path}/archive", tmp_path / "target"
    open_release_archive(archive, None).push(repository, 2, None)
    releases = ArchivedReleases(target, archive, None)
    left = asyncio.create_task(releases.obtain(2))
    await asyncio.sleep(0)
    left.cancel()
    await releases.obtain(2)
    assert left.cancelled()
    assert list_releases(target) == [2]
