"""The archive: a folder or an S3 bucket that holds releases.

<url>/<n>.json          the bundle of release n, signed; created last and never replaced by another: without it there
                        is no release n
<url>/<n>/<sha256>      its files, each named by its hash

An object appears as a whole: S3 has it so, and files are written beside their place first.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from portrait.features.files.atomic_write import atomic_write
from portrait.features.files.integrity import sha256
from portrait.features.files.numbered_folders import parse_folder_number
from portrait.features.installation import explain_install
from portrait.features.release.archive.bundle import MAX_BUNDLE_BYTES, BundleFile
from portrait.features.release.layout import MAX_RELEASE
from portrait.features.release.manifest import ReleaseError

SCHEMES = ("file", "s3")
MAX_TRANSFERS = 4
"""Files of a release that are copied at one time."""
_SUFFIX = ".json"


class Archive:
    """Reads and writes the objects of an archive; see `open_archive`. Threads may share it.

    Its methods raise ReleaseError if it can't be used.

    Args:
        url: for messages.
        files: a file system of fsspec.
        root: the path of the archive in it.
    """

    def __init__(self, url: str, files: Any, root: str) -> None:
        self.url, self._files, self._root = url.rstrip("/"), files, root.rstrip("/")
        self._is_local = isinstance(files, LocalFileSystem)

    def list_releases(self) -> list[int]:
        """The releases that are there as a whole, oldest first."""
        with self._explaining("listed"), suppress(FileNotFoundError):
            names = (path.rpartition("/")[2] for path in self._files.ls(self._root, detail=False))
            stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
            return sorted(number for stem in stems if (number := parse_folder_number(stem, MAX_RELEASE)) is not None)
        return []

    def read_bundle(self, release: int) -> bytes | None:
        """The signed bundle of a release; None if there is none."""
        path = self._bundle_path(release)
        with self._explaining(f"read: {release}{_SUFFIX}"), suppress(FileNotFoundError):
            if (size := self._files.size(path)) > MAX_BUNDLE_BYTES:
                raise ReleaseError(f"{self.url}/{release}{_SUFFIX} has {size} bytes; the limit is {MAX_BUNDLE_BYTES}")
            content: bytes = self._files.cat_file(path)
            return content
        return None

    def create_bundle(self, release: int, content: bytes) -> None:
        """Make a release exist, whose files are all there; raises ReleaseError if another one was quicker."""
        with self._explaining("written"):
            try:
                self._create(self._bundle_path(release), content)
            except FileExistsError:
                raise ReleaseError(f"{self.url} holds a release {release} since a moment ago: push again") from None

    def replace_bundle(self, release: int, content: bytes) -> None:
        """Replace a bundle by the same one with another signature."""
        with self._explaining("written"):
            if self._is_local:
                with atomic_write(Path(self._bundle_path(release))) as temporary:
                    temporary.write_bytes(content)
            else:
                self._files.pipe_file(self._bundle_path(release), content)

    def list_files(self, release: int) -> dict[str, int]:
        """The sizes in bytes of a release's files that are there, by their hashes: each of them is a whole one."""
        with self._explaining("listed"), suppress(FileNotFoundError):
            entries = self._files.ls(f"{self._root}/{release}", detail=True)
            return {entry["name"].rpartition("/")[2]: entry["size"] for entry in entries if entry["type"] == "file"}
        return {}

    def upload(self, release: int, file: BundleFile, source: Path) -> None:
        """Copy a file into the archive."""
        target = self._object_path(release, file)
        with self._explaining("written"):
            if self._is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(Path(target)) as temporary:
                    shutil.copyfile(source, temporary)
            else:
                self._files.put_file(str(source), target)

    def download(self, release: int, file: BundleFile, target: Path, name: str) -> None:
        """Copy a file out of the archive, whole and as its hash says, or not at all.

        Args:
            release: its number.
            file: size and hash; `list_files` has said that a file of this size is there.
            target: where to write it; its folder exists.
            name: of the file in the release, for messages.
        """
        with self._explaining(f"read: {name}"), atomic_write(target) as temporary:
            self._files.get_file(self._object_path(release, file), str(temporary))
            if sha256(temporary) != file.sha256:
                raise self.changed(release, name)

    def changed(self, release: int, name: str) -> ReleaseError:
        """The error of a file that is not what the bundle says."""
        return ReleaseError(f"{name} of release {release} at {self.url} is not what the signed list says")

    def _create(self, path: str, content: bytes) -> None:
        """Write an object unless there is one; raises FileExistsError."""
        if not self._is_local:
            self._files.pipe_file(path, content, mode="create")
            return
        temporary = Path(f"{path}.{os.getpid()}.tmp")
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _bundle_path(self, release: int) -> str:
        return f"{self._root}/{release}{_SUFFIX}"

    def _object_path(self, release: int, file: BundleFile) -> str:
        return f"{self._root}/{release}/{file.sha256}"

    @contextmanager
    def _explaining(self, failed: str) -> Iterator[None]:
        """Turn the errors of file systems and of the network, which have no common class, into ReleaseError."""
        try:
            yield
        except ReleaseError:
            raise
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise ReleaseError(f"{self.url} can't be {failed}: {text}") from error


def open_archive(url: str) -> Archive:
    """Open the archive at a URL; nothing is asked of it yet.

    Args:
        url: file:///FOLDER, or s3://BUCKET/PREFIX. Address and keys of S3 are read as by AWS's own tools: from the
            environment, their files, or the machine's role.

    Raises:
        ReleaseError: it is no such URL, or a package is missing.
    """
    scheme, separator, path = url.partition("://")
    if scheme not in SCHEMES or not separator or not path.strip("/"):
        raise ReleaseError(f"{url!a} is no address of an archive: file:///FOLDER or s3://BUCKET/PREFIX")
    if scheme == "file" and not path.startswith("/"):
        raise ReleaseError(f"{url!a} names no absolute folder: file:///FOLDER has three slashes")
    try:
        # Neither cached: a gateway must see what others pushed since.
        files, root = fsspec.core.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        raise ReleaseError(f"{scheme}:// needs more packages: {explain_install('releases')}") from error
    return Archive(url, files, root)
