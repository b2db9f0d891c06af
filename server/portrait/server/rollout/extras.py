"""Parts of the rollout that need an extra: imported when they are used, with an error that says what to install."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from portrait.features.installation import explain_install
from portrait.features.release.manifest import ReleaseError
from portrait.server.storage.store import StoreError

if TYPE_CHECKING:
    from portrait.server.rollout.fleet import Fleet
    from portrait.server.rollout.release_archive import ReleaseArchive


def connect_to_fleet(url: str) -> "AbstractAsyncContextManager[Fleet]":
    """Connect to the Redis of a fleet until the end of the context.

    Args:
        url: as of the setting `state_url`.

    Raises:
        StoreError: a package is missing, or nobody answers there.
    """
    try:
        from portrait.server.rollout.fleet import open_fleet
    except ModuleNotFoundError as error:
        raise StoreError(f"state_url needs {error.name}: {explain_install('redis')}") from error
    return open_fleet(url)


def open_release_archive(url: str, verify_key: Path | None) -> "ReleaseArchive":
    """Open an archive; see `ReleaseArchive`.

    Raises:
        ReleaseError: the URL or the keys can't be used, or a package is missing.
    """
    try:
        from portrait.server.rollout.release_archive import ReleaseArchive
    except ModuleNotFoundError as error:
        raise ReleaseError(f"an archive of releases needs {error.name}: {explain_install('releases')}") from error
    return ReleaseArchive(url, verify_key)
