"""Folders that are named by a number: releases, snapshots."""

import re
from pathlib import Path

_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
"""ASCII digits without a leading zero: `str.isdigit` is also true for `²`, which is no number to `int`."""


def parse_folder_number(name: str, maximum: int) -> int | None:
    """The number that a name is, from 1 to a maximum; None if it is another name."""
    if not _NUMBER.fullmatch(name):
        return None
    number = int(name)
    return number if number <= maximum else None


def list_numbered_folders(folder: Path, holding: str, maximum: int) -> list[int]:
    """The numbers of the subfolders that hold a file of some name, in ascending order."""
    found = (parse_folder_number(path.parent.name, maximum) for path in folder.glob(f"*/{holding}"))
    return sorted(number for number in found if number is not None)
