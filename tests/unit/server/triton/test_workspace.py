"""The folder of an embedded Triton: short enough for a socket, closed to others, and cleared of what the dead left."""

import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from portrait.server.triton import EmbeddedTriton, workspace
from portrait.server.triton.errors import TritonError
from portrait.server.triton.workspace import MAX_SOCKET_BYTES, Workspace


def _bind(made: Workspace) -> Path:
    """Listen where Triton would; returns the path."""
    path = Path(unquote(made.url.removeprefix("unix:")))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    return path


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, which `tmp_path` has not everywhere."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", ["plain", "50%41"])
def test_the_socket_is_in_a_folder_of_its_user(short: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    temporary = short / name
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    made = Workspace.create()
    assert _bind(made).parent == made.folder
    assert made.folder.parent == temporary
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    made.close()
    assert not list(temporary.iterdir())


def test_a_temporary_folder_with_too_long_a_path_is_passed_over(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = short / ("long" * 25)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setattr(workspace, "_SHORT", short)
    made = Workspace.create()
    assert made.folder.parent == short
    assert len(os.fsencode(_bind(made))) <= MAX_SOCKET_BYTES
    made.close()
    monkeypatch.setattr(workspace, "_SHORT", short / "missing")
    with pytest.raises(TritonError, match="107 are the most: set TMPDIR"):
        Workspace.create()


@pytest.mark.parametrize("name", ["with space", "it's", "a(b", "$(id)", "名"])
def test_a_temporary_folder_that_a_shell_reads_otherwise_is_passed_over(
    short: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    odd = short / name
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    monkeypatch.setattr(workspace, "_SHORT", short)
    made = Workspace.create()
    assert made.folder.parent == short
    made.close()
    monkeypatch.setattr(workspace, "_SHORT", short / "missing")
    with pytest.raises(TritonError, match="set TMPDIR to a folder whose path has ASCII"):
        Workspace.create()


def test_a_folder_that_another_owner_clears_before_it_is_locked_is_made_anew(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    lock = fcntl.flock
    others: list[Workspace] = []

    def lock_late(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        others.append(Workspace.create())  # by another owner, between the folder and its lock
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    made = Workspace.create()
    assert (made.folder / "lock").exists()
    made.close()
    others[0].close()
    assert not list(short.iterdir())


@pytest.mark.parametrize("name", ["with space", "it's", "a;b"])
async def test_a_repository_that_a_shell_reads_otherwise_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(TritonError, match="a path without spaces"):
        await EmbeddedTriton(tmp_path / name, tmp_path / "triton.log").start()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of another user")
def test_what_another_user_made_is_left_alone(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    theirs, ours = short / "portrait-triton-theirs", short / "portrait-triton-ours"
    for folder in (theirs, ours):
        folder.mkdir()
        (folder / "lock").touch()
    os.chown(theirs, 65534, 65534)
    Workspace.create().close()
    assert list(short.iterdir()) == [theirs]


def test_no_name_of_a_folder_stands_for_the_regions_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_SHARED_MEMORY", tmp_path)
    region = tmp_path / "portrait-triton-alive-1"
    region.touch()
    Workspace(tmp_path / "portrait-triton-*", (tmp_path / "lock").open("wb")).clear()
    assert region.exists()
