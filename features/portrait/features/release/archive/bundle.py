"""The bundle of a release in an archive: the list of its files, with sizes and hashes. A signature signs this list.

It holds what the repository of a gateway needs: the files of the manifest, the manifest, and Triton's configurations.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from portrait.features.files.integrity import sha256
from portrait.features.release.layout import (
    CONFIGURATION,
    MANIFEST,
    MAX_RELEASE,
    REPORT,
    release_folder,
)
from portrait.features.release.manifest import Manifest, ReleaseError, read_verified_manifest

MAX_BUNDLE_BYTES = 16 << 20
"""A larger one is refused unread."""


@dataclass(frozen=True)
class BundleFile:
    """A file of a bundle."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    """In bytes."""


@dataclass(frozen=True)
class Bundle:
    """A release as it is archived. Equal releases have equal bundles, byte for byte."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    release: Annotated[int, Field(ge=1, le=MAX_RELEASE)]
    created_at: Annotated[str, Field(pattern=r"^[0-9TZ:+.-]{1,40}$")]
    """The manifest's."""
    files: dict[str, BundleFile]
    """By the path below the model repository."""

    @classmethod
    def build(cls, repository: Path, release: int) -> "Bundle":
        """List the files of a whole release of a repository.

        Raises:
            ReleaseError: there is no such release, it is damaged, or a configuration is missing.
        """
        manifest = read_verified_manifest(repository, release)
        unlisted = [_manifest_path(release), *map(configuration_path, manifest.models)]
        try:
            hashes = manifest.hashes | {name: sha256(repository / name) for name in unlisted}
            sizes = {name: (repository / name).stat().st_size for name in hashes}
        except OSError as error:
            raise ReleaseError(f"release {release} can't be read: {error}") from error
        files = {name: BundleFile(hashes[name], sizes[name]) for name in sorted(hashes)}
        return cls(release, manifest.created_at, files)

    def to_json(self) -> bytes:
        """Write it, always in the same way."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True).encode()

    @classmethod
    def parse(cls, content: bytes, release: int) -> "Bundle":
        """Read what `to_json` wrote.

        Args:
            content: of the document.
            release: the one whose bundle it must be.

        Raises:
            ReleaseError: it is none, or that of another release.
        """
        try:
            bundle = _READER.validate_json(content)
        except ValidationError as error:
            raise ReleaseError("it is no list of the files of a release") from error
        if bundle.release != release:
            raise ReleaseError(f"it is that of release {bundle.release}")
        return bundle

    @property
    def manifest(self) -> BundleFile:
        """The manifest of the release.

        Raises:
            ReleaseError: it is not in the bundle.
        """
        try:
            return self.files[_manifest_path(self.release)]
        except KeyError:
            raise ReleaseError("it does not name the manifest") from None

    def require_files_of(self, manifest: Manifest) -> None:
        """Require that the bundle holds exactly the files of a release: no path of it leads elsewhere.

        Args:
            manifest: of the release. It is not trusted: what it names beside a release's files is refused.

        Raises:
            ReleaseError: it does not; the message names the first file at fault.
        """
        report = str(release_folder(Path(), self.release) / REPORT)
        listed = {*manifest.required_files, *({report} & manifest.hashes.keys())}
        wanted = {*listed, _manifest_path(self.release), *map(configuration_path, manifest.models)}
        for name in sorted(wanted ^ self.files.keys()):
            raise ReleaseError(f"it {'lacks' if name in wanted else 'names'} {name[:200]!a}")
        for name in sorted(listed):
            if self.files[name].sha256 != manifest.hashes.get(name):
                raise ReleaseError(f"it has another hash of {name} than the manifest")

    def is_same_release(self, other: "Bundle") -> bool:
        """Tell whether two bundles are of one release: the manifest says all but Triton's configurations."""
        return (self.release, self.manifest) == (other.release, other.manifest)


_READER = TypeAdapter(Bundle)


def configuration_path(model: str) -> str:
    """Path of a model's configuration below the model repository."""
    return f"{model}/{CONFIGURATION}"


def _manifest_path(release: int) -> str:
    return str(release_folder(Path(), release) / MANIFEST)
