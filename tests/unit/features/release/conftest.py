"""A repository whose releases are pushed, and archives for them: folders, and a bucket of a real S3 server."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from support import tiny_release
from support.s3_server import run_s3
from support.signing_keys import make_keys

from portrait.features.release.archive.archive import Archive, open_archive


@pytest.fixture(scope="session")
def pushed_from(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with releases 1 and 2, of which 2 has traits. Not to be changed."""
    repository = tmp_path_factory.mktemp("pushed_from")
    tiny_release.build(repository, 1)
    tiny_release.build(repository, 2, traits=True)
    return repository


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    with run_s3() as url:
        yield url


@pytest.fixture(params=["file", "s3"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """An empty archive."""
    if request.param == "file":
        return open_archive(f"file://{tmp_path}/archive")
    return open_archive(f"{request.getfixturevalue('bucket')}/{uuid4().hex}/of one shop")


@pytest.fixture
def folder_archive(tmp_path: Path) -> Archive:
    return open_archive(f"file://{tmp_path}/archive")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of keys: `old.pem` and `old.pub`, `new.pem` and `new.pub`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("old", "new"):
        make_keys(folder, name)
    return folder
