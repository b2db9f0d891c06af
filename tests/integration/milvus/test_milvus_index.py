"""A release's items in a real Milvus Lite are found as in memory, filtered alike, and change with the catalogue."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.milvus_server import MilvusServer

from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.history_summary import NO_GROUP
from portrait.features.events import DEFAULT_CATALOGUE, Item
from portrait.features.items.item_table import fold_brand
from portrait.features.release.manifest import ReleaseError
from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import ItemIndex
from portrait.features.search.item_words import ItemWords
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.catalogue import Catalogue
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.numbers import number_value
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.release.release import Release
from portrait.server.search.errors import IndexStorageError
from portrait.server.search.milvus.expressions import format_expression
from portrait.server.search.open import open_collections

if TYPE_CHECKING:
    from portrait.server.search.milvus.collections import MilvusCollections

K = 100
RECALL = 0.99
NO_ROWS = np.empty(0, dtype=np.int64)
FILTERS = st.builds(
    Filter,
    categories=st.lists(
        st.sampled_from([("Home",), ("Home", "Lamps"), ("Kitchen",), ("Garden", "Tools"), ("None",)]), max_size=3
    ),
    brands=st.lists(st.sampled_from(["acme", "ZHEN", "Norden", "nobody"]), max_size=3),
    min_price=st.none() | st.floats(0.0, 3_500.0),
    max_price=st.none() | st.floats(0.0, 3_500.0),
)


@pytest.fixture(scope="module")
def collections(milvus: MilvusServer, release: Release) -> "Iterator[MilvusCollections]":
    opened = open_collections(milvus.url)
    assert opened.fill(release.identity, release.indexed_rows, lambda stored: None)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def remote(release: Release, collections: "MilvusCollections") -> Release:
    """The same release, whose nearest items are found in Milvus."""
    return replace(release, remote_index=collections.open(release.identity, release.vectors))


def profiles(release: Release, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Vectors near some items, and between them."""
    random = np.random.default_rng(seed)
    mixed = release.vectors[random.integers(len(release.items), size=(count, 3))].sum(1)
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def list_stored_rows(milvus: MilvusServer, release: Release, expression: str) -> list[int]:
    """List the rows of a collection that meet an expression, by a client of its own."""
    from pymilvus import MilvusClient

    client = MilvusClient(milvus.url)
    name = f"portrait_{release.identity.replace('-', '_')}"
    return [each["row"] for each in client.query(name, filter=expression, output_fields=["row"], limit=16_384)]


def added(items: list[Item], vectors: NDArray[np.float32], release: Release) -> CandidateSet:
    count, codes = len(items), release.items.codes
    return CandidateSet(
        items,
        np.full(count, NO_GROUP, dtype=np.int64),
        vectors,
        np.array([number_value(codes.paths, item.category_path) for item in items], dtype=np.int64),
        np.array([number_value(codes.brands, fold_brand(item.brand)) for item in items], dtype=np.int64),
        np.zeros((count, release.statistics.shape[1]), dtype=np.float32),
        np.ones(count, dtype=bool),
        ColdStartNeighbours.empty(count),
        np.full(count, np.nan),
        lambda: ItemWords.from_items(items),
    )


def nearest(now: Snapshot, vector: NDArray[np.float32], k: int = K, wanted: Filter = Filter()) -> list[int]:  # noqa: B008
    [rows] = now.nearest(vector, [(k, now.select(wanted, NO_ROWS))])
    return rows.tolist()


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(wanted=FILTERS, cold_only=st.booleans(), name=st.sampled_from([DEFAULT_CATALOGUE, "outlet"]))
def test_a_filter_passes_the_same_rows_there_as_here(
    milvus: MilvusServer, remote: Release, wanted: Filter, cold_only: bool, name: str
) -> None:
    now = Catalogue(name, remote).now
    selected = now.select(wanted, NO_ROWS)
    if cold_only:
        selected = now.select_cold(selected)
    here = np.flatnonzero(bits.unpack_rows(selected.stock, len(remote.items)))
    there = sorted(list_stored_rows(milvus, remote, format_expression(selected.conditions)))
    assert set(here) <= set(there)
    if len(here):  # a filter that names nothing known passes nothing, which is decided here
        assert there == here.tolist()


def test_the_nearest_rows_are_those_of_an_exact_search(release: Release, remote: Release) -> None:
    random, now = np.random.default_rng(1), Catalogue(DEFAULT_CATALOGUE, release).now
    found_best = wanted_best = 0
    for number in range(16):
        wanted = Filter(
            categories=[("Home",), ("Kitchen", "Pans")][: random.integers(3)],
            brands=["acme", "ZHEN"][: random.integers(3)],
            min_price=random.choice([None, 300.0, 1_500.0]),
        )
        left_out = random.choice(len(release.items), 60, replace=False)
        selected = now.select(wanted, left_out)
        if number % 4 == 0:
            selected = now.select_cold(selected)
        mask = np.zeros(len(release.items), dtype=bool)
        mask[now.rows_in(selected)] = True
        vectors = profiles(release, 5, number)
        found, scores = remote.nearest.search(vectors, K, selected.stock, float(mask.mean()), selected.conditions)
        for vector, rows, inner in zip(vectors, found, scores, strict=True):
            exact, there = release.vectors @ vector, rows[rows >= 0]
            assert mask[there].all()
            assert len(set(there.tolist())) == len(there)
            assert inner[: len(there)] == pytest.approx(exact[there], abs=1e-5)
            best = np.sort(exact[mask])[::-1][:K]
            wanted_best += len(best)
            found_best += np.count_nonzero(inner[: len(there)] >= best[-1] - 1e-5)  # equal ones are equally near
    assert found_best >= RECALL * wanted_best, found_best / wanted_best


def test_items_that_come_change_and_go_are_seen_at_once(remote: Release) -> None:
    catalogue, vector = Catalogue(DEFAULT_CATALOGUE, remote), profiles(remote, 1)[0]
    first, second, third = nearest(catalogue.now, vector, 3)
    ids = [remote.items.item_id(row) for row in (first, second, third)]
    catalogue.upsert(added([Item("new", "New"), Item(ids[0], "Changed")], np.stack([vector, -vector]), remote))
    catalogue.delete([ids[1]])
    now = catalogue.now
    shown = now.take(np.array(nearest(now, vector))).item_ids
    assert "new" in shown
    assert shown.index("new") < shown.index(ids[2])
    assert not {ids[0], ids[1]} & set(shown)
    assert len(shown) == K
    catalogue.delete(["new"])
    assert nearest(catalogue.now, vector, 1) == [third]


@pytest.mark.parametrize("limit", [16_384, 128])
def test_all_is_found_though_most_of_what_is_near_is_gone(
    remote: Release, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either Milvus returns enough rows, or the rest is compared here."""
    from portrait.server.search.milvus import index

    monkeypatch.setattr(index, "MAX_FETCHED", limit)
    vector = profiles(remote, 1, seed=5)[0]
    inner = remote.vectors @ vector
    living = np.argsort(-inner)[1_000:]
    mask = np.zeros(len(inner), dtype=bool)
    mask[living] = True
    [found], [scores] = remote.nearest.search(vector[None], 50, bits.pack_rows(mask), float(mask.mean()))
    assert mask[found].all()
    assert scores == pytest.approx(np.sort(inner[mask])[::-1][:50], abs=1e-5)


def test_releases_stand_side_by_side_until_they_are_retired(repository: Path, collections: "MilvusCollections") -> None:
    other = Release.load(repository, 2)
    with pytest.raises(ReleaseError, match=r"release 2 is not in http.*run `portrait index-release 2`"):
        collections.open(other.identity, other.vectors)
    told: list[int] = []
    assert collections.fill(other.identity, other.indexed_rows, told.append)
    assert told[-1] == len(other.items)
    assert not collections.fill(other.identity, other.indexed_rows, told.append)
    first = Release.load(repository, 1)
    for each in (first, other):
        index = collections.open(each.identity, each.vectors)
        [rows], _ = index.search(each.vectors[:1], 1, bits.pack_rows(np.ones(len(each.items), dtype=bool)), 1.0)
        assert each.vectors[rows[0]] == pytest.approx(each.vectors[0])
        assert index.find_fault() is None
    assert collections.drop(other.identity)
    assert not collections.drop(other.identity)
    assert index.find_fault() == "its collection is gone"
    with pytest.raises(Unavailable) as raised:
        index.search(other.vectors[:1], 1, bits.pack_rows(np.ones(len(other.items), dtype=bool)), 1.0)
    assert raised.value.reason is ErrorReason.INDEX_UNAVAILABLE
    assert collections.open(first.identity, first.vectors).find_fault() is None


def test_an_interrupted_run_leaves_nothing_that_is_served(release: Release, collections: "MilvusCollections") -> None:
    class Interrupted(Exception):
        pass

    def interrupt(stored: int) -> None:
        raise Interrupted

    identity, rows = "7-00000000000a", replace(release.indexed_rows, vectors=np.repeat(release.vectors, 2, axis=1))
    with pytest.raises(IndexStorageError, match="Interrupted"):
        collections.fill(identity, rows, interrupt)
    with pytest.raises(ReleaseError, match="is not in"):
        collections.open(identity, rows.vectors)
    assert collections.fill(identity, rows, lambda stored: None)
    assert collections.open(identity, rows.vectors).find_fault() is None
    with pytest.raises(ReleaseError, match=f"has {len(rows)} rows; the release has 10 items"):
        collections.open(identity, rows.vectors[:10])
    assert collections.drop(identity)


def test_a_server_that_hangs_or_dies_is_told_in_time_and_comes_back(milvus: MilvusServer, remote: Release) -> None:
    index, every = remote.nearest, bits.pack_rows(np.ones(len(remote.items), dtype=bool))
    with milvus.paused():
        with pytest.raises(Unavailable, match="does not answer") as raised:
            index.search(remote.vectors[:1], 1, every, 1.0)
        assert raised.value.reason is ErrorReason.INDEX_UNAVAILABLE
        assert "does not answer" in str(index.find_fault())
    until_it_answers(index)
    milvus.kill()
    before = index.failures
    with pytest.raises(Unavailable):
        index.search(remote.vectors[:1], 1, every, 1.0)
    assert index.failures == before + 1
    assert index.find_fault() is not None
    with pytest.raises(Unavailable):
        index.search(remote.vectors[:1], 1, every, 1.0)
    assert index.failures == before + 1, "it was asked though it is known to be down"
    milvus.start()
    until_it_answers(index)
    [rows], _ = index.search(remote.vectors[:1], 1, every, 1.0)
    assert remote.vectors[rows[0]] == pytest.approx(remote.vectors[0])


def until_it_answers(index: ItemIndex) -> None:
    until = time.monotonic() + 60.0
    while (fault := index.find_fault()) is not None:
        assert time.monotonic() < until, fault
        time.sleep(0.05)


def test_nobody_at_an_address_is_said_so() -> None:
    pytest.importorskip("pymilvus", reason="pymilvus is missing: it comes with the extra `milvus`")
    with pytest.raises(IndexStorageError, match=r"no Milvus answers at http://127\.0\.0\.1:1: "):
        open_collections("http://someone:secret@127.0.0.1:1")


def test_a_file_is_opened_by_one_process_at_a_time(milvus: MilvusServer, release: Release, tmp_path: Path) -> None:
    path = tmp_path / "items.db"
    opened = open_collections(str(path))
    try:
        rows = release.indexed_rows
        assert opened.fill(release.identity, rows, lambda stored: None)
        code = f"from portrait.server.search.open import open_collections; open_collections({str(path)!r})"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
        assert "another process may have it open" in other.stderr
    finally:
        opened.close()
    again = open_collections(str(path))
    try:
        index = again.open(release.identity, release.vectors)
        [found], _ = index.search(release.vectors[:1], 1, bits.pack_rows(np.ones(len(rows), dtype=bool)), 1.0)
        assert release.vectors[found[0]] == pytest.approx(release.vectors[0])
    finally:
        again.close()
