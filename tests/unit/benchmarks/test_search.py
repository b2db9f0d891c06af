"""The search benchmark: windows that no model looks into, searches without their shopper, and counts as baselines."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import tiny_data

from benchmarks.common.ranking.search import bootstrap_mean, find_search_clicks, find_test_clicks, remove_shoppers
from benchmarks.common.ranking.search_baselines import number_queries, rank_by_bm25, rank_by_query_popularity
from benchmarks.search import windows
from benchmarks.search.shipped_split import measure_shipped_split
from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.dataset.data_set import REPORT_FILE, open_data_set
from portrait.training.dataset.identity import read_identity
from portrait.training.dataset.splits import hold_out
from portrait.training.encoders.retrieval import find_ranks
from portrait.training.encoders.samples import Batcher, build_serving_samples
from portrait.training.enums import Split
from portrait.training.metrics import bootstrap_interval


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=60, events=24)


@pytest.fixture(scope="module")
def corpus(data: Path) -> Corpus:
    return load_corpus(data)


def test_windows_follow_each_other_and_models_learn_what_precedes_theirs(data: Path, tmp_path: Path) -> None:
    folders = windows.cut_windows(data, tmp_path, 3)
    later = np.inf
    for folder in folders:
        cut = load_corpus(folder)
        holdout = hold_out(cut, Split.TIME, refit=True)
        clicks = find_test_clicks(cut, holdout).clicks
        assert cut.columns.time.max() < later
        later = cut.columns.time[holdout.test].min()
        assert len(clicks)
        assert (cut.columns.time[clicks] >= later).all()
        assert cut.columns.time[holdout.train].max() < later
        assert len(cut.items) == len(load_corpus(data).items)
    assert windows.cut_windows(data, tmp_path, 3) == folders


def test_a_window_is_a_data_set_that_training_accepts(data: Path, tmp_path: Path) -> None:
    prepared = shutil.copytree(data, tmp_path / "prepared")
    report = json.loads((prepared / REPORT_FILE).read_text(encoding="utf-8"))
    report["identity"] = read_identity(prepared)
    (prepared / REPORT_FILE).write_text(json.dumps(report), encoding="utf-8")
    for folder in windows.cut_windows(prepared, tmp_path / "windows", 2):
        assert open_data_set(folder).report["kept"] == len(load_corpus(folder).event_item)


def test_targets_are_clicks_that_a_search_came_right_before(corpus: Corpus) -> None:
    found = find_search_clicks(corpus, np.ones(len(corpus.event_item), dtype=bool))
    assert len(found.clicks)
    assert (corpus.event_item[found.clicks] != NO_ITEM).all()
    assert (corpus.event_item[found.searches] == NO_ITEM).all()
    assert (corpus.event_shopper[found.searches] == corpus.event_shopper[found.clicks]).all()
    assert (corpus.columns.time[found.searches] < corpus.columns.time[found.clicks]).all()
    earlier = [
        np.flatnonzero(corpus.event_shopper[:search] == corpus.event_shopper[search]) for search in found.searches
    ]
    assert found.has_history.tolist() == [len(events) > 0 for events in earlier]


def test_without_its_shopper_a_search_is_all_that_is_known(corpus: Corpus) -> None:
    found = find_search_clicks(corpus, np.ones(len(corpus.event_item), dtype=bool))
    alone, targets = remove_shoppers(corpus, found)
    samples = build_serving_samples(alone, targets)
    assert samples.target.tolist() == targets.tolist()
    batch = Batcher(alone, samples, batch_slots=1 << 20, max_pairs=1).build_batch(
        np.arange(len(samples)), np.random.default_rng(0)
    )
    assert batch.windows.mask.shape == (len(targets), 1)
    assert alone.event_text[batch.windows.event].tolist() == corpus.event_text[found.searches].tolist()
    assert batch.target.tolist() == corpus.event_item[found.clicks].tolist()
    # A shopper who did nothing before the search is ranked for as without a shopper.
    whole = build_serving_samples(corpus, found.clicks)
    lengths = whole.window_end - corpus.event_slot[whole.first_event]
    assert (lengths[~found.has_history] == 1).all()
    assert (lengths[found.has_history] > 1).all()


def test_intervals_are_over_shoppers() -> None:
    random = np.random.default_rng(0)
    values = random.random(200)
    each = bootstrap_mean(values, np.arange(200))
    assert each["interval"] == pytest.approx(bootstrap_interval(values), abs=0.01)
    low, high = bootstrap_mean(np.repeat(values, 10), np.repeat(np.arange(200), 10))["interval"]
    assert (low, high) == pytest.approx(each["interval"], abs=0.01)


def test_the_popularity_of_the_exact_query_counts_its_clicks_first() -> None:
    learnt = (number_queries(["Halo: 3", "halo 3", "halo  3", "forza"]), np.array([2, 2, 1, 0]))
    assert number_queries(["Halo: 3", "HALO-3!", "halo3"]).tolist() == [0, 0, 1]
    ranked = rank_by_query_popularity(learnt, np.array([0, 1, 9]), np.array([5.0, 1.0, 2.0, 0.0]))
    assert ranked.tolist() == [[2, 1, 0, 3], [0, 2, 1, 3], [0, 2, 1, 3]]


def test_bm25_finds_the_words_of_a_query(corpus: Corpus) -> None:
    ranked = rank_by_bm25(corpus, corpus.item_text[:5])
    assert (find_ranks(ranked, np.arange(5)) < 12).all()


def test_the_shipped_split_is_read_from_event_ids(data: Path, tmp_path: Path) -> None:
    assert measure_shipped_split(data) is None
    rows = [("train.csv:1:1", "a", "halo"), ("train.csv:2:1", "b", "forza"), ("train.csv:3:1", "b", "fable"),
            ("test.csv:1:1", "a", "Halo"), ("test.csv:2:1", "a", "unheard of")]  # fmt: skip
    events = pl.DataFrame(rows, schema=["event_id", "item_id", "query"], orient="row")
    events.write_parquet(tmp_path / "events.parquet")
    found = measure_shipped_split(tmp_path)
    assert found is not None
    assert found["MAP@5"] == pytest.approx((1.0 + 0.5) / 2)
    assert found["HR@5"] == 1.0
