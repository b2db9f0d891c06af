"""The contents of a release on the disk, for comparisons."""

from pathlib import Path

from portrait.features.files.integrity import sha256
from portrait.features.release.layout import CONFIGURATION
from portrait.features.release.manifest import read_verified_manifest


def hash_release(repository: Path, release: int) -> dict[str, str]:
    """The hashes of the files of a whole release, and of the models' configurations."""
    manifest = read_verified_manifest(repository, release)
    configurations = [f"{model}/{CONFIGURATION}" for model in manifest.models]
    return manifest.hashes | {name: sha256(repository / name) for name in configurations}
