"""Folders that are expensive to build, built once for all worker processes of a test run."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def build_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Build a folder unless a worker of this test run has done so; others wait meanwhile.

    Args:
        factory: the fixture `tmp_path_factory`.
        name: of the folder, and of what it holds.
        build: fills the folder, which exists; tests must not change it afterwards.

    Returns:
        The folder.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # a worker's own folder lies in that of the run
    folder, is_built = base / "shared" / name, base / "shared" / f"{name}.built"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name(f"{name}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_built.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a build that failed
            folder.mkdir()
            build(folder)
            is_built.touch()
    return folder
