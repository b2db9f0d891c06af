"""Files that are there as a whole or not at all: a process that is killed leaves none that the next can't read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a path to write a file at; when the block ends, that file takes the place of `path`, at once.

    If the block fails, what stood at `path` stays. What a killed process leaves is hidden, and the next writes over
    it: so one process at a time may replace a file.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)  # a full disk has room again
        raise
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
