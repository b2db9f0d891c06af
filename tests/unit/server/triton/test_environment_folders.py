"""Folders in /tmp that Triton's Python backend leaves when it is killed."""

import shutil
import tempfile
from pathlib import Path

from portrait.server.triton.environment_folders import EnvironmentFolders


def make_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="python_env_", dir="/tmp"))


def test_the_folders_of_a_load_are_removed_if_they_are_empty(tmp_path: Path) -> None:
    folders, before = EnvironmentFolders(tmp_path / "record"), make_folder()
    with folders.noting():
        empty, full = make_folder(), make_folder()
    (full / "packages").touch()
    try:
        EnvironmentFolders(tmp_path / "record").remove()  # by whoever finds the record
        assert [each.exists() for each in (before, empty, full)] == [True, False, True]
        assert not (tmp_path / "record").exists()
        folders.remove()  # nothing more
    finally:
        before.rmdir()
        shutil.rmtree(full)
