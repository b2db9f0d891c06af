"""Integrity: a release has exactly the files that it must have, and each is what the manifest says.

The check reads every file once. What is changed after it, while the release is in use, is not noticed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from portrait.features import release as files
from portrait.features.items import COLUMN_FILES
from portrait.features.regular import require_regular
from portrait.features.release import MODELS, TRAIT_HEADS, Manifest, ReleaseError, sha256

_QUOTED_CHARACTERS = 200


def read_whole(repository: Path, release: int) -> Manifest:
    """Read the manifest of a release and check all its files.

    Raises:
        ReleaseError: there is no such release, or it is damaged; the message names the first file at fault.
    """
    folder = files.folder(repository, release)
    manifest = Manifest.read(folder)
    if manifest.release != release:
        raise ReleaseError(f"{folder} holds no release: {files.MANIFEST} is that of release {manifest.release}")
    check_files(manifest, repository)
    return manifest


def check_files(manifest: Manifest, repository: Path) -> None:
    """Check all files of a release.

    Raises:
        ReleaseError: one is missing, is there and must not be, can't be read, or is not what it was when the release
            was made. The message names the first of them.
    """
    required = required_files(manifest)
    for name in sorted(manifest.hashes.keys() ^ required):
        if name in required:
            raise _damaged(manifest, f"the manifest lacks the hash of {name}")
        if name != _report(manifest):
            raise _damaged(manifest, f"the manifest names {_quoted(name)}, which is no file of this release")
    for name in _entries(manifest, repository):
        if name not in manifest.hashes:
            raise _damaged(manifest, f"{_quoted(name)} is there and the manifest does not name it")
    for name, expected in sorted(manifest.hashes.items()):
        _check_file(manifest, repository, name, expected)


def required_files(manifest: Manifest) -> set[str]:
    """The files that a release must have beside its manifest, by their paths below the model repository."""
    number = manifest.release
    models = (*MODELS, TRAIT_HEADS) if manifest.has_heads else MODELS
    held = [
        files.TOKENIZER, files.ITEMS, files.ITEM_VECTORS, files.ITEM_POPULARITY, files.LENDERS, files.ASSOCIATIONS,
        files.PRICE_SCALE, files.KEYWORDS, files.POPULATION, files.PROFILES,
    ]  # fmt: skip
    held += [f"{files.ITEM_COLUMNS}/{name}" for name in COLUMN_FILES]
    held += [files.ITEM_INDEX] if manifest.has_index else []
    return {f"{model}/{number}/{files.MODEL_FILE}" for model in models} | {f"releases/{number}/{name}" for name in held}


def _report(manifest: Manifest) -> str:
    """The one file that a release may have or not."""
    return f"releases/{manifest.release}/{files.REPORT}"


def _entries(manifest: Manifest, repository: Path) -> Iterator[str]:
    """All that stands in the release's folders, but manifest and folders of the release."""
    release = f"releases/{manifest.release}"
    own = {f"{release}/{files.MANIFEST}", f"{release}/{files.ITEM_COLUMNS}"}
    models = (f"{model}/{manifest.release}" for model in (*MODELS, TRAIT_HEADS))
    for folder in (*models, release, f"{release}/{files.ITEM_COLUMNS}"):
        try:
            names = sorted(os.listdir(repository / folder))
        except FileNotFoundError:
            continue  # `_check_file` names the first file that is missing
        except OSError as error:
            raise _damaged(manifest, f"{folder} can't be read: {error.strerror}") from error
        yield from (name for each in names if (name := f"{folder}/{each}") not in own)


def _check_file(manifest: Manifest, repository: Path, name: str, expected: str) -> None:
    path = repository / name
    try:
        require_regular(path, repository)
        whole = sha256(path) == expected
    except OSError as error:
        raise _damaged(manifest, f"{name} can't be read: {error}") from error
    if not whole:
        raise _damaged(manifest, f"{name} is not what the manifest says")


def _damaged(manifest: Manifest, reason: str) -> ReleaseError:
    return ReleaseError(f"release {manifest.release} is damaged: {reason}")


def _quoted(name: str) -> str:
    """A name that others chose, safe in one line of a log."""
    return ascii(name[:_QUOTED_CHARACTERS])
