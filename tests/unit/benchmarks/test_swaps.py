"""The benchmark of swaps can tell releases apart, and an answer that is of neither."""

from pathlib import Path

import numpy as np
from support import tiny_release

from benchmarks.common.release_variants import copy_with_variants
from benchmarks.serving.swaps import MAX_RELATIVE_DISTANCE, relative_distance
from portrait.features.release import layout as release_layout
from portrait.features.release.layout import MODELS
from portrait.features.release.manifest import read_verified_manifest
from portrait.server.release.release import Release

ONE, TWO = np.array([1.0, 0.0, 0.5]), np.array([0.0, 1.0, 0.0])


def test_an_answer_of_its_release_is_not_strange() -> None:
    said = {1: ONE, 2: TWO}
    assert relative_distance(1, ONE, said) == 0
    assert relative_distance(2, TWO + 0.01, said) < MAX_RELATIVE_DISTANCE


def test_an_answer_of_another_release_or_of_two_is() -> None:
    said = {1: ONE, 2: TWO}
    assert relative_distance(1, TWO, said) >= 1
    for share in (0.25, 0.5, 0.75):
        assert relative_distance(1, share * ONE + (1 - share) * TWO, said) > MAX_RELATIVE_DISTANCE
    assert relative_distance(1, ONE[:2], said) > MAX_RELATIVE_DISTANCE


def test_copies_are_whole_releases_that_differ(tmp_path: Path) -> None:
    repository, copy = tmp_path / "repository", tmp_path / "copy"
    tiny_release.build(repository)
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    assert copy_with_variants(repository, copy, 3) == release_layout.list_releases(copy) == [1, 2, 3]
    for number in (1, 2, 3):
        read_verified_manifest(copy, number)
    loaded = [Release.load(copy, number) for number in (1, 2, 3)]
    assert [release.number for release in loaded] == [release.manifest.release for release in loaded] == [1, 2, 3]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.allclose(loaded[one].vectors, loaded[other].vectors, atol=0.1)
    assert len({release_layout.model_file(copy, MODELS[0], number).read_bytes() for number in (1, 2, 3)}) == 3
    assert {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()} == before
