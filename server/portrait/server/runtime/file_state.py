"""Changes of a file, told without reading it."""

from pathlib import Path


def read_file_state(path: Path) -> tuple[int, ...] | None:
    """Read the attributes of a file that change when it is written or replaced; None if it can't be read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
