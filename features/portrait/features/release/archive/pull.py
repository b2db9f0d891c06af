"""Pulls a release from an archive into a repository: verified beside its place, then moved there.

<model_repository>/releases/.pull-<n>/      what is pulled so far; a pull that was interrupted goes on with it
<model_repository>/releases/.signed/<n>.json    the signed bundle of each release that was pulled
"""

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from portrait.features.files.atomic_write import atomic_write
from portrait.features.files.integrity import sha256
from portrait.features.release.archive.archive import MAX_TRANSFERS, Archive
from portrait.features.release.archive.bundle import Bundle, BundleFile, configuration_path
from portrait.features.release.archive.signatures import open_envelope
from portrait.features.release.layout import MANIFEST, list_releases, release_folder
from portrait.features.release.manifest import Manifest, ReleaseError, read_verified_manifest

_LOCK = ".pull.lock"


def pull_release(repository: Path, release: int, archive: Archive, keys: Sequence[Ed25519PublicKey]) -> bool:
    """Have a repository hold a release of an archive. Several processes may ask for it at the same time.

    A release that was pulled before is not asked for again, as long as one of the keys has signed it: so a gateway
    starts while the archive can't be reached.

    Args:
        repository: the model repository; created if missing.
        release: the number of the release.
        archive: holds it.
        keys: one of them must have signed it; with none, a release needs no signature.

    Returns:
        whether anything was pulled.

    Raises:
        ReleaseError: the archive does not hold it or can't be read, it is not signed by an accepted key, it is not
            what its signed list says, the repository holds another one of this number, or the disk is full.
    """
    try:
        (repository / "releases").mkdir(parents=True, exist_ok=True)
        with _locked(repository):
            pulled = _read_pulled(repository, release, keys)
            if pulled is not None and _is_whole(repository, pulled):
                return False
            envelope, bundle = read_bundle(archive, release, keys)
            is_missing = not _is_whole(repository, bundle)
            staging = repository / "releases" / f".pull-{release}"
            if is_missing:
                _download(archive, bundle, staging)
            _keep(repository, release, envelope)
            if is_missing:
                _move_into_place(staging, repository, bundle)
            shutil.rmtree(staging, ignore_errors=True)
            return is_missing
    except OSError as error:
        raise ReleaseError(f"release {release} can't be pulled: {error}") from error


def read_bundle(archive: Archive, release: int, keys: Sequence[Ed25519PublicKey]) -> tuple[bytes, Bundle]:
    """Read the bundle of a release from an archive, and verify its signature; returns its envelope too.

    Raises:
        ReleaseError: there is none, or it is not signed by an accepted key.
    """
    envelope = archive.read_bundle(release)
    if envelope is None:
        there = ", ".join(map(str, archive.list_releases())) or "none"
        raise ReleaseError(f"{archive.url} holds no release {release}; those there are: {there}")
    try:
        return envelope, Bundle.parse(open_envelope(envelope, keys), release)
    except ReleaseError as error:
        raise type(error)(f"release {release} at {archive.url} is refused: {error}") from error


@contextmanager
def _locked(repository: Path) -> Iterator[None]:
    """Let one process at a time pull into a repository; a process that dies lets go."""
    with (repository / "releases" / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_pulled(repository: Path, release: int, keys: Sequence[Ed25519PublicKey]) -> Bundle | None:
    """The bundle of a release that was pulled before, if an accepted key has signed it."""
    try:
        return Bundle.parse(open_envelope(_signed_path(repository, release).read_bytes(), keys), release)
    except (FileNotFoundError, ReleaseError):
        return None


def _is_whole(repository: Path, bundle: Bundle) -> bool:
    """Tell whether the repository holds the release, undamaged; raises ReleaseError if it holds another one."""
    release = bundle.release
    if release not in list_releases(repository):
        return False
    if sha256(release_folder(repository, release) / MANIFEST) != bundle.manifest.sha256:
        raise ReleaseError(f"{repository} holds another release {release} than the archive: remove one of them")
    try:
        read_verified_manifest(repository, release)
    except ReleaseError:
        return False
    return True


def _download(archive: Archive, bundle: Bundle, staging: Path) -> None:
    """Fetch what is missing into a small repository of its own, and verify all of it."""
    release = bundle.release
    folder = release_folder(staging, release)
    folder.mkdir(parents=True, exist_ok=True)
    _require_sizes(archive, bundle)
    archive.download(release, bundle.manifest, folder / MANIFEST, MANIFEST)
    try:
        bundle.require_files_of(Manifest.read(folder))
    except ReleaseError as error:
        raise ReleaseError(f"release {release} at {archive.url} is refused: {error}") from error
    missing = {name: file for name, file in bundle.files.items() if not _is_there(staging / name, file)}
    _require_space(staging, release, sum(file.size for file in missing.values()))
    for name in missing:
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(MAX_TRANSFERS) as threads:
        list(threads.map(lambda name: archive.download(release, missing[name], staging / name, name), missing))
    try:
        read_verified_manifest(staging, release)
    except ReleaseError:  # what an earlier pull of another release of this number left there
        shutil.rmtree(staging)
        raise


def _require_sizes(archive: Archive, bundle: Bundle) -> None:
    """Require that the archive has all files, and none that is larger than the list says and could fill the disk."""
    sizes = archive.list_files(bundle.release)
    for name, file in bundle.files.items():
        if file.sha256 not in sizes:
            raise ReleaseError(f"{archive.url} lacks {name[:200]!a} of release {bundle.release}")
        if sizes[file.sha256] != file.size:
            raise archive.changed(bundle.release, name)


def _is_there(path: Path, file: BundleFile) -> bool:
    return path.exists() and sha256(path) == file.sha256


def _require_space(staging: Path, release: int, size: int) -> None:
    free = shutil.disk_usage(staging).free
    if size > free:
        raise ReleaseError(f"release {release} needs {size:,} bytes more, and the disk has {free:,} left")


def _move_into_place(staging: Path, repository: Path, bundle: Bundle) -> None:
    """Move a verified release; the folder with its manifest comes last, so until then there is no release."""
    release = bundle.release
    folder = release_folder(repository, release)
    (folder / MANIFEST).unlink(missing_ok=True)  # of a damaged one
    for model in Manifest.read(release_folder(staging, release)).models:
        _place_configuration(staging, repository, model)
        _replace_folder(staging / model / str(release), repository / model / str(release))
    _replace_folder(release_folder(staging, release), folder)


def _place_configuration(staging: Path, repository: Path, model: str) -> None:
    """Write a model's configuration unless there is one: whoever runs the gateway may have changed it."""
    path = repository / configuration_path(model)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as temporary:
            shutil.copyfile(staging / configuration_path(model), temporary)


def _replace_folder(source: Path, target: Path) -> None:
    """Move a folder to the place of what an interrupted pull or export left there."""
    if target.exists():
        shutil.rmtree(target)
    source.rename(target)


def _keep(repository: Path, release: int, envelope: bytes) -> None:
    """Remember the signed bundle, so that the release needs the archive no more."""
    path = _signed_path(repository, release)
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(envelope)


def _signed_path(repository: Path, release: int) -> Path:
    return repository / "releases" / ".signed" / f"{release}.json"
