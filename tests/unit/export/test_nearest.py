"""Indexes: built of many vectors, measured, and as good among few of them as among all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from portrait.export import nearest
from portrait.export.nearest import RECALL_AT, Retrieval, recall_of
from portrait.features.release import layout as release_layout
from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import ItemIndex, Want
from portrait.features.search.item_index import open_index
from portrait.features.search.scan import MIN_COMPARED, ScanIndex

COUNT, DIMENSION = 20_000, 16


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """Clusters of unit vectors."""
    random = np.random.default_rng(0)
    made = random.normal(size=(200, DIMENSION))[random.integers(200, size=COUNT)]
    return unit(made + 0.3 * random.normal(size=made.shape))


@pytest.fixture(scope="module")
def profiles(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = np.random.default_rng(1).integers(COUNT, size=(50, 2))
    return unit(vectors[rows].sum(1))


@pytest.fixture(scope="module", params=[nearest.SCAN, nearest.LISTS])
def written(
    vectors: NDArray[np.float32],
    profiles: NDArray[np.float32],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> tuple[Retrieval, Path]:
    """Retrieval of an index, and the folder that has it."""
    folder = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "_FULL_PRECISION_BYTES", vectors.nbytes - 1)
        return nearest.write(vectors, lambda _: profiles, folder, [request.param]), folder


@pytest.fixture(scope="module")
def index(written: tuple[Retrieval, Path]) -> ScanIndex:
    told, folder = written
    vectors = np.load(folder / release_layout.ITEM_VECTORS)
    return open_index(folder / release_layout.ITEM_INDEX, vectors, told.looked_at or 0)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def exact(profiles: NDArray[np.float32], vectors: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    rows = np.flatnonzero(mask)
    _, places = faiss.knn(profiles, vectors[rows], RECALL_AT, faiss.METRIC_INNER_PRODUCT)
    return rows[places]


def test_few_items_need_no_index(vectors: NDArray[np.float32], tmp_path: Path) -> None:
    told = nearest.write(vectors[:100], pytest.fail, tmp_path)
    assert str(told) == "exact"
    assert [path.name for path in release_layout.list_files(tmp_path)] == [release_layout.ITEM_VECTORS]
    assert np.array_equal(np.load(tmp_path / release_layout.ITEM_VECTORS), vectors[:100])


def test_the_cheapest_way_that_misses_hardly_any_is_taken(
    vectors: NDArray[np.float32], profiles: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, codes = Retrieval("exact", None, 1.0, 50, 2.0), Retrieval("PQ", 6, 0.995, 50, 0.5)
    file, tried = Retrieval("IVF", 8, 0.99, 50, 0.1), []
    index = nearest.make_codes(vectors[:64])

    def costs(told: Retrieval) -> Callable[..., nearest.Tried]:
        def try_it(*_: object) -> nearest.Tried:
            tried.append(told.kind)
            return told, index

        return try_it

    def choose(exact: Retrieval, codes: Retrieval) -> str:
        monkeypatch.setattr(nearest, "_TRY", {nearest.EXACT: costs(exact), nearest.SCAN: costs(codes)})
        monkeypatch.setattr(nearest, "_try_lists", costs(file))
        tried.clear()
        return nearest.write(vectors, lambda _: profiles, tmp_path).kind

    assert choose(exact, codes) == "PQ"
    assert tried == ["exact", "PQ"]
    assert choose(exact, replace(codes, recall_at_100=0.98)) == "IVF"
    assert choose(replace(exact, milliseconds=0.4), replace(codes, recall_at_100=0.98)) == "exact"


def test_an_index_says_what_it_finds(
    vectors: NDArray[np.float32],
    profiles: NDArray[np.float32],
    written: tuple[Retrieval, Path],
    index: ScanIndex,
) -> None:
    told, folder = written
    assert told.profiles == len(profiles)
    assert told.kind in {"PQ8x4fs", f"IVF{round(2 * COUNT**0.5)},PQ8x4fs"}
    assert told.looked_at == index.compared
    every = np.ones(COUNT, dtype=bool)
    found, scores = index.search(profiles, RECALL_AT, bits.pack_rows(every), 1.0)
    assert recall_of(found, exact(profiles, vectors, every)) == pytest.approx(told.recall_at_100)
    assert told.recall_at_100 >= 0.95
    assert told.milliseconds
    assert (np.diff(scores, axis=1) <= 0).all()
    kept = np.load(folder / release_layout.ITEM_VECTORS)
    assert kept.dtype == np.float16
    assert np.abs(kept - vectors).max() < 1e-3


def test_of_rows_that_lie_close_together_more_are_compared(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    centres = random.normal(size=(8, DIMENSION))
    close = unit(np.repeat(centres, 2_500, axis=0) + 0.05 * random.normal(size=(8 * 2_500, DIMENSION)))
    asked = unit(centres + 0.05 * random.normal(size=centres.shape))
    told = nearest.write(close, lambda _: asked, tmp_path, [nearest.SCAN])
    assert told.looked_at is not None
    assert told.looked_at > MIN_COMPARED
    assert told.recall_at_100 >= 0.99
    few = open_index(tmp_path / release_layout.ITEM_INDEX, close)
    every = np.ones(len(close), dtype=bool)
    found, _ = few.search(asked, RECALL_AT, bits.pack_rows(every), 1.0)
    assert recall_of(found, exact(asked, close, every)) < 0.99


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_a_filter_costs_no_recall(
    vectors: NDArray[np.float32], profiles: NDArray[np.float32], index: ItemIndex, share: float
) -> None:
    mask = np.random.default_rng(2).random(COUNT) < share
    found, _ = index.search(profiles, RECALL_AT, bits.pack_rows(mask), mask.mean())
    assert mask[found].all()
    assert recall_of(found, exact(profiles, vectors, mask)) >= 0.95


def test_what_is_far_from_all_that_passes_finds_it_all_the_same(vectors: NDArray[np.float32], index: ItemIndex) -> None:
    wish = vectors[:1]
    mask = (vectors @ wish[0]) < np.quantile(vectors @ wish[0], 0.02)
    found, _ = index.search(wish, RECALL_AT, bits.pack_rows(mask), 1.0)
    assert recall_of(found, exact(wish, vectors, mask)) >= 0.9


def test_where_fewer_pass_than_are_wanted_all_come(vectors: NDArray[np.float32], index: ItemIndex) -> None:
    mask = np.zeros(COUNT, dtype=bool)
    mask[[3, 77, 19_999]] = True
    found, _ = index.search(vectors[:2], 5, bits.pack_rows(mask), 3 / COUNT)
    assert [sorted(rows.tolist()) for rows in found] == [[-1, -1, 3, 77, 19_999]] * 2


def test_several_sets_of_rows_are_searched_as_each_alone(
    profiles: NDArray[np.float32], written: tuple[Retrieval, Path], index: ItemIndex
) -> None:
    told, _ = written
    random = np.random.default_rng(3)
    wants = []
    for k, share in ((110, 1.0), (20, 0.2), (5, 0.0002), (300, 0.5)):
        mask = random.random(COUNT) < share
        wants.append(Want(k, bits.pack_rows(mask), float(mask.mean())))
    for profile in profiles[:5]:
        for (rows, scores), want in zip(index.search_several(profile, wants), wants, strict=True):
            alone, inner = index.search(profile[None], *want)
            there = alone[0] >= 0
            if told.kind.startswith("PQ"):
                assert rows.tolist() == alone[0][there].tolist()
                assert scores == pytest.approx(inner[0][there], rel=1e-6)
            else:  # for all together, more lists are looked at
                assert np.isin(alone[0][there], rows).mean() >= 0.9
