"""Integrity: folders hold exactly the files that they must hold, each with the hash that is expected.

The check reads every file once. What is changed after it, while the files are in use, is not noticed.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Set
from pathlib import Path

from portrait.features.files.regular_files import require_regular_file

_QUOTED_CHARACTERS = 200


class IntegrityError(Exception):
    """A file is missing, is there and must not be, can't be read, or has another hash. The message names the first."""


def verify_files(
    root: Path,
    hashes: Mapping[str, str],
    required: Set[str],
    optional: Set[str],
    folders: Collection[str],
    manifest: str,
) -> None:
    """Check all files of some folders. All paths are relative to one folder, which no file may lie outside of.

    Args:
        root: that folder.
        hashes: SHA-256 of each file.
        required: the files that must be there.
        optional: the files that may have a hash beside these.
        folders: hold nothing but files with a hash, one another, and the manifest; a missing one is no error by itself.
        manifest: holds the hashes.

    Raises:
        IntegrityError: see there.
    """
    for name in sorted(hashes.keys() ^ required):
        if name in required:
            raise IntegrityError(f"the manifest lacks the hash of {name}")
        if name not in optional:
            raise IntegrityError(f"the manifest names {_quote_name(name)}, which is no file of this release")
    for name in _list_entries(root, folders):
        if name not in hashes and name != manifest:
            raise IntegrityError(f"{_quote_name(name)} is there and the manifest does not name it")
    for name, expected in sorted(hashes.items()):
        _verify_file(root, name, expected)


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _list_entries(root: Path, folders: Collection[str]) -> Iterator[str]:
    """All that stands in the folders, but these."""
    for folder in folders:
        try:
            names = sorted(os.listdir(root / folder))
        except FileNotFoundError:
            continue  # `_verify_file` names the first file that is missing
        except OSError as error:
            raise IntegrityError(f"{folder} can't be read: {error.strerror}") from error
        yield from (name for each in names if (name := f"{folder}/{each}") not in folders)


def _verify_file(root: Path, name: str, expected: str) -> None:
    try:
        require_regular_file(root / name, root)
        whole = sha256(root / name) == expected
    except OSError as error:
        raise IntegrityError(f"{name} can't be read: {error}") from error
    if not whole:
        raise IntegrityError(f"{name} is not what the manifest says")


def _quote_name(name: str) -> str:
    """A name that others chose, safe in one line of a log."""
    return ascii(name[:_QUOTED_CHARACTERS])
