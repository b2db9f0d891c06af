"""Pushes a release of a repository into an archive: its files first, the signed bundle last."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portrait.features.release.archive.archive import MAX_TRANSFERS, Archive
from portrait.features.release.archive.bundle import Bundle
from portrait.features.release.archive.signatures import open_envelope, seal
from portrait.features.release.manifest import ReleaseError


@dataclass(frozen=True, slots=True)
class Pushed:
    """The outcome of a push."""

    files: int
    """Number of the release's files."""
    uploaded: int
    """Number of those that were not there yet."""
    size: int
    """Size of the release, in bytes."""


def push_release(repository: Path, release: int, archive: Archive, key: Ed25519PrivateKey | None) -> Pushed:
    """Push a release. One that was interrupted goes on; one that is there already can be signed anew.

    Args:
        repository: holds the release.
        release: its number.
        archive: gets it.
        key: signs it; None leaves it unsigned, or with the signature that it has.

    Raises:
        ReleaseError: the release is damaged, the archive holds another one of its number, or it can't be written.
    """
    own = bundle = Bundle.build(repository, release)
    envelope = archive.read_bundle(release)
    if envelope is not None:
        bundle = _require_same(archive, envelope, own)
    there = archive.list_files(release)
    missing = {
        file.sha256: (file, repository / name)
        for name, file in bundle.files.items()
        if there.get(file.sha256) != file.size and own.files[name] == file
    }
    with ThreadPoolExecutor(MAX_TRANSFERS) as threads:
        list(threads.map(lambda each: archive.upload(release, *each), missing.values()))
    sealed = seal(bundle.to_json(), key)
    if envelope is None:
        archive.create_bundle(release, sealed)
    elif key is not None and sealed != envelope:
        archive.replace_bundle(release, sealed)
    return Pushed(len(bundle.files), len(missing), sum(file.size for file in bundle.files.values()))


def _require_same(archive: Archive, envelope: bytes, own: Bundle) -> Bundle:
    """Return the archived bundle, which must be of the same release; its configurations may be older ones."""
    try:
        archived = Bundle.parse(open_envelope(envelope, ()), own.release)
        if archived.is_same_release(own):
            return archived
    except ReleaseError as error:
        raise ReleaseError(f"{archive.url}/{own.release}.json is in the way: {error}") from error
    raise ReleaseError(
        f"{archive.url} holds another release {own.release}, and none is ever replaced: pull it before the next "
        "export, so that the export takes the number after it"
    )
