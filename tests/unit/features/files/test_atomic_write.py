"""A file that is replaced is the old one or the new one, whatever becomes of who writes it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portrait.features.files.atomic_write import atomic_write


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    for content in ("first", "second"):
        with atomic_write(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == content
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("first", encoding="utf-8")

    def failing() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("sec", encoding="utf-8")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert path.read_text(encoding="utf-8") == "first"


_KILLED = """
import os, sys
from pathlib import Path
from portrait.features.files.atomic_write import atomic_write

with atomic_write(Path(sys.argv[1])) as temporary:
    temporary.write_text("sec")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("before", [None, "first"])
def test_who_is_killed_leaves_the_file_as_it_was(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "settings.json"
    if before is not None:
        path.write_text(before, encoding="utf-8")
    killed = subprocess.run([sys.executable, "-c", _KILLED, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (path.read_text(encoding="utf-8") if path.exists() else None) == before
    with atomic_write(path) as temporary:
        temporary.write_text("second", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "second"
    assert os.listdir(tmp_path) == [path.name]
