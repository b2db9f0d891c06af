import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray
from support import tiny_release

from portrait.export import nearest
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.events import Item
from portrait.features.files.integrity import sha256
from portrait.features.release import layout as release_layout
from portrait.features.release.manifest import ReleaseError
from portrait.features.search.codes import make_codes
from portrait.server.catalogue.candidate_set import candidates_from_text
from portrait.server.catalogue.catalogue import Catalogues
from portrait.server.catalogue.filters import Filter
from portrait.server.release.release import Release


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    tiny_release.build(tmp_path)
    return tmp_path


def edit_manifest(repository: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = release_layout.release_folder(repository, 1) / release_layout.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    edit(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_a_release_is_loaded_as_it_was_made(repository: Path) -> None:
    release = Release.load(repository, 1)
    assert list(release.items) == tiny_release.ITEMS
    assert release.vectors.shape == (len(release.items), release.dimension)
    assert np.allclose(np.linalg.norm(release.vectors, axis=1), 1.0, atol=1e-6)
    assert release.rarity.unseen == pytest.approx(math.log(1 + len(release.items)))
    assert release.rarity.by_stem["lamp"] == pytest.approx(math.log((1 + len(release.items)) / 14))


def test_a_release_that_is_not_there_is_refused(repository: Path) -> None:
    with pytest.raises(ReleaseError, match="holds no release"):
        Release.load(repository, 2)


@pytest.mark.parametrize(
    "name",
    [
        release_layout.ITEMS,
        f"{release_layout.ITEM_COLUMNS}/price.npy",
        release_layout.ITEM_VECTORS,
        release_layout.TOKENIZER,
    ],
)
def test_a_file_that_changed_is_refused(repository: Path, name: str) -> None:
    with (release_layout.release_folder(repository, 1) / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ReleaseError, match=name):
        Release.load(repository, 1)


@pytest.mark.parametrize(
    "name",
    [
        release_layout.ITEMS,
        release_layout.ITEM_VECTORS,
        release_layout.TOKENIZER,
        release_layout.COLD_START_NEIGHBOURS,
        release_layout.RELATIONS,
        release_layout.ITEM_STATISTICS,
        release_layout.PRICE_SCALE,
    ],
)
def test_a_file_that_was_never_whole_is_refused(repository: Path, name: str) -> None:
    path = release_layout.release_folder(repository, 1) / name
    path.write_bytes(b"nothing that can be read")
    edit_manifest(
        repository,
        lambda manifest: manifest["hashes"].update({str(path.relative_to(repository)): sha256(path)}),
    )
    with pytest.raises(ReleaseError, match="release 1 is damaged"):
        Release.load(repository, 1)


def test_a_file_that_is_missing_is_refused(repository: Path) -> None:
    release_layout.model_file(repository, "ranker", 1).unlink()
    with pytest.raises(ReleaseError, match=r"ranker/1/model\.onnx"):
        Release.load(repository, 1)


@pytest.mark.parametrize("columns", ["event_numbers", "candidate_features", "ranker_inputs"])
def test_a_release_of_other_features_is_refused(repository: Path, columns: str) -> None:
    edit_manifest(repository, lambda manifest: manifest[columns].reverse())
    with pytest.raises(ReleaseError, match="trained with other"):
        Release.load(repository, 1)


def test_a_release_of_a_text_encoder_with_one_output_is_refused(repository: Path) -> None:
    def make_older(manifest: dict[str, Any]) -> None:
        del manifest["sentence_dimension"]
        for name in (release_layout.SENTENCE_VECTORS, release_layout.ITEM_PAIRS):
            (release_layout.release_folder(repository, 1) / name).unlink()
            del manifest["hashes"][f"releases/1/{name}"]

    edit_manifest(repository, make_older)
    with pytest.raises(ReleaseError, match="gives no sentence_embedding"):
        Release.load(repository, 1)


def test_vectors_of_another_dimension_are_refused(repository: Path) -> None:
    edit_manifest(repository, lambda manifest: manifest.update(dimension=8))
    with pytest.raises(ReleaseError, match="damaged"):
        Release.load(repository, 1)


@pytest.fixture
def indexed(repository: Path) -> Path:
    """The same release as a larger catalogue has it: with an index."""
    folder = release_layout.release_folder(repository, 1)
    vectors = np.load(folder / release_layout.ITEM_VECTORS)
    retrieval = nearest.write(vectors, lambda count: vectors[:count], folder, [nearest.LISTS])
    hashes = {str(path.relative_to(repository)): sha256(path) for path in release_layout.list_files(folder)}
    del hashes[f"releases/1/{release_layout.MANIFEST}"]
    edit_manifest(repository, lambda manifest: manifest["hashes"].update(hashes))
    edit_manifest(repository, lambda manifest: manifest.update(export={"retrieval": asdict(retrieval)}))
    return repository


def test_an_index_is_loaded_and_finds_who_lends_to_cold_items(indexed: Path) -> None:
    release = Release.load(indexed, 1)
    assert release.index is not None
    words = np.asarray(release.vectors[[7, 30]], dtype=np.float32)
    lent, exact = (
        release.find_neighbours(words),
        ColdStartNeighbours.find_nearest(words, release.vectors.astype(np.float32), ~release.is_cold),
    )
    assert [set(rows) for rows in lent.rows.tolist()] == [set(rows) for rows in exact.rows.tolist()]
    np.testing.assert_allclose(np.sort(lent.weights), np.sort(exact.weights), atol=1e-2)
    new = candidates_from_text(release, "products", [Item("new", "New"), release.items[7]], words)
    assert new.vectors.dtype == np.float32
    assert new.is_cold.tolist() == [True, False]
    catalogue = Catalogues(release)["products"]
    catalogue.upsert(new)
    selection = catalogue.now.select(Filter(), np.empty(0, dtype=np.int64))
    [rows] = catalogue.now.nearest(new.vectors[0], [(5, selection)])
    assert "new" in catalogue.now.take(rows).item_ids


def test_vectors_in_half_precision_find_who_lends_to_cold_items(repository: Path) -> None:
    whole = Release.load(repository, 1)
    words = np.array(whole.vectors[[7, 30]])
    exact = whole.find_neighbours(words)
    path = release_layout.release_folder(repository, 1) / release_layout.ITEM_VECTORS
    np.save(path, np.load(path).astype(np.float16))
    name = f"releases/1/{release_layout.ITEM_VECTORS}"
    edit_manifest(repository, lambda manifest: manifest["hashes"].update({name: sha256(path)}))
    lent = Release.load(repository, 1).find_neighbours(words)
    assert [set(rows) for rows in lent.rows.tolist()] == [set(rows) for rows in exact.rows.tolist()]
    np.testing.assert_allclose(np.sort(lent.weights), np.sort(exact.weights), atol=1e-2)


def replace_index(repository: Path, make: Callable[[NDArray[np.float32]], faiss.Index]) -> None:
    """Put another index of the items' vectors into a release."""
    folder = release_layout.release_folder(repository, 1)
    vectors = np.load(folder / release_layout.ITEM_VECTORS).astype(np.float32)
    faiss.write_index(make(vectors), str(folder / release_layout.ITEM_INDEX))
    name = f"releases/1/{release_layout.ITEM_INDEX}"
    edit_manifest(repository, lambda manifest: manifest["hashes"].update({name: sha256(repository / name)}))


def test_an_index_of_other_items_is_refused(indexed: Path) -> None:
    replace_index(indexed, lambda vectors: make_codes(vectors[:-1]))
    with pytest.raises(ReleaseError, match="damaged"):
        Release.load(indexed, 1)


def test_an_index_of_another_kind_is_refused_with_what_to_do(indexed: Path) -> None:
    replace_index(indexed, lambda vectors: faiss.index_factory(vectors.shape[1], "Flat"))
    with pytest.raises(ReleaseError, match="export the release once more"):
        Release.load(indexed, 1)
