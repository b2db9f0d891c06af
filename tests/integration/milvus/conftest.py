from collections.abc import Iterator
from pathlib import Path

import pytest
from support import tiny_release
from support.milvus_server import MilvusServer, run_milvus

from portrait.features.release.layout import MODELS
from portrait.server.release.release import Release

VARIANTS = 2_600


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    with run_milvus(tmp_path_factory.mktemp("milvus")) as server:
        yield server


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with two releases of so many items that an index is asked. Not to be changed."""
    folder = tmp_path_factory.mktemp("repository")
    for model in MODELS:
        (folder / model).mkdir()
    for release in (1, 2):
        tiny_release.build(folder, release, variants=VARIANTS)
    return folder


@pytest.fixture(scope="session")
def release(repository: Path) -> Release:
    """Release 1, whose nearest items are found in this process."""
    return Release.load(repository, 1)
