"""The archive of releases as the server and its commands use it: with the keys that they accept."""

from pathlib import Path

from portrait.features.release.archive.archive import open_archive
from portrait.features.release.archive.pull import pull_release, read_bundle
from portrait.features.release.archive.push import Pushed, push_release
from portrait.features.release.archive.signatures import is_signed, read_sign_key, read_verify_keys
from portrait.features.release.manifest import ReleaseError


class ReleaseArchive:
    """An archive, and the keys of which one must have signed a release. Its methods raise ReleaseError.

    Args:
        url: file:///FOLDER or s3://BUCKET/PREFIX.
        verify_key: PEM file of public keys; None accepts any release.
    """

    def __init__(self, url: str, verify_key: Path | None) -> None:
        self._archive = open_archive(url)
        self._keys = read_verify_keys(verify_key) if verify_key else ()

    def list_releases(self) -> list[int]:
        """The releases, oldest first."""
        return self._archive.list_releases()

    def describe(self, release: int) -> tuple[str, str]:
        """Return the creation time of a release and the state of its signature, or an empty time and what is wrong."""
        try:
            envelope, bundle = read_bundle(self._archive, release, self._keys)
        except ReleaseError as error:
            return "", str(error)
        state = "signed by an accepted key" if self._keys else "signed" if is_signed(envelope) else "not signed"
        return bundle.created_at[:25], state

    def require(self, release: int) -> None:
        """Require that a release is there and that an accepted key has signed it; its files are not read."""
        read_bundle(self._archive, release, self._keys)

    def pull(self, repository: Path, release: int) -> bool:
        """Have a repository hold a release; returns whether anything had to be pulled."""
        return pull_release(repository, release, self._archive, self._keys)

    def push(self, repository: Path, release: int, sign_key: Path | None) -> Pushed:
        """Push a release of a repository.

        Args:
            repository: holds it.
            release: its number.
            sign_key: PEM file of the private key that signs it; None leaves it unsigned.
        """
        key = read_sign_key(sign_key) if sign_key else None
        return push_release(repository, release, self._archive, key)
