"""Position bias: found in logs whose examination is known, undone by the weights, and left alone where nothing is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import tiny_data

from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.dataset.position_bias import MAX_WEIGHT, estimate_severity, inverse_propensity_weights
from portrait.training.settings import TrainSettings

ITEMS = 6
SETTINGS = TrainSettings()


def _clicks(
    truth: float, queries: int, searches: int, noise: float | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Query, item and position of clicks under a position-based model, and the relevance `[queries, items]`.

    Results are shuffled, or stand in the order of their relevance and some noise.
    """
    random = np.random.default_rng(seed)
    relevance = random.uniform(0.05, 0.6, (queries, ITEMS))
    looked_at = np.arange(1.0, ITEMS + 1) ** -truth
    told = np.repeat(relevance[:, None], searches, 1)
    order = np.argsort(random.random(told.shape) * (noise or 1.0) - (told if noise else 0.0), axis=-1)
    clicked = random.random(order.shape) < looked_at * np.take_along_axis(told, order, -1)
    query, search, place = np.nonzero(clicked)
    return query, order[query, search, place], place + 1, relevance


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.0, 1.5])
def test_the_bias_of_shuffled_results_is_found(truth: float) -> None:
    query, item, position, _ = _clicks(truth, queries=40, searches=2000, noise=None, seed=1)
    assert estimate_severity(query, item, position) == pytest.approx(truth, abs=0.1)


@given(
    truth=st.floats(0.0, 2.0),
    searches=st.integers(0, 200),
    noise=st.sampled_from([None, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_the_bias_is_not_overstated(truth: float, searches: int, noise: float | None, seed: int) -> None:
    query, item, position, _ = _clicks(truth, queries=40, searches=searches, noise=noise, seed=seed)
    assert 0.0 <= estimate_severity(query, item, position) <= truth + 0.35


def _searched(corpus: Corpus, query: NDArray[np.int64], item: NDArray[np.int64], position: NDArray[np.int64]) -> Corpus:
    """The corpus with clicks after searches as its events; only what position bias reads is filled in."""
    count = len(query)
    positions = np.concatenate([np.full(count, np.nan), position.astype(np.float64)])
    return replace(
        corpus,
        columns=replace(corpus.columns, position=positions),
        event_item=np.concatenate([np.full(count, NO_ITEM), item]),
        event_text=np.concatenate([query, np.zeros(count, dtype=np.int64)]),
        event_search=np.concatenate([np.full(count, -1), np.arange(count)]),
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=5, events=12))


def test_weighted_clicks_are_shared_by_relevance(corpus: Corpus) -> None:
    query, item, position, relevance = _clicks(1.0, queries=40, searches=2000, noise=0.8, seed=2)
    searched = _searched(corpus, query, item, position)
    weights = inverse_propensity_weights(searched, np.ones(len(searched.event_item), dtype=bool), SETTINGS)[
        len(query) :
    ]
    wanted = relevance / relevance.sum(1, keepdims=True)

    def distance(weight: NDArray[np.float64]) -> float:
        clicks = np.zeros_like(relevance)
        np.add.at(clicks, (query, item), weight)
        return float(np.abs(clicks / clicks.sum(1, keepdims=True) - wanted).sum(1).mean() / 2.0)

    assert distance(weights.astype(np.float64)) < 0.5 * distance(np.ones(len(query)))


def test_weights_are_bounded_and_have_mean_one_over_what_is_learnt(corpus: Corpus) -> None:
    query, item, position, _ = _clicks(2.0, queries=40, searches=500, noise=None, seed=3)
    searched = _searched(corpus, query, item, position)
    learnt = np.arange(len(searched.event_item)) % 2 == 0
    weights = inverse_propensity_weights(searched, learnt, SETTINGS)
    searches, clicks = weights[: len(query)], weights[len(query) :]
    assert (searches == 1.0).all()
    assert clicks[learnt[len(query) :]].mean() == pytest.approx(1.0, abs=1e-4)
    assert 1.0 < clicks.max() / clicks.min() <= MAX_WEIGHT + 1e-4
    for near, far in zip(range(1, ITEMS), range(2, ITEMS + 1), strict=True):
        assert clicks[position == near].max() <= clicks[position == far].min()
    assert (inverse_propensity_weights(searched, learnt, replace(SETTINGS, position_bias=False)) == 1.0).all()


def test_a_log_without_positions_is_weighted_by_exactly_one(tmp_path: Path) -> None:
    folder = tiny_data.write(tmp_path, shoppers=20)
    events = pl.read_parquet(folder / "events.parquet")
    events.with_columns(pl.lit(None, dtype=pl.Int32).alias("position")).write_parquet(folder / "events.parquet")
    unplaced = load_corpus(folder)
    weights = inverse_propensity_weights(unplaced, np.ones(len(unplaced.event_item), dtype=bool), SETTINGS)
    assert weights.dtype == np.float32
    assert (weights == 1.0).all()


def test_what_training_may_not_learn_from_tells_nothing_of_the_bias(corpus: Corpus) -> None:
    query, item, position, _ = _clicks(1.0, queries=20, searches=500, noise=None, seed=4)
    learnt = np.ones(2 * len(query), dtype=bool)
    learnt[len(query) + len(query) // 2 :] = False
    before = inverse_propensity_weights(_searched(corpus, query, item, position), learnt, SETTINGS)
    moved = np.where(learnt[len(query) :], position, 1)
    after = inverse_propensity_weights(_searched(corpus, query, item, moved), learnt, SETTINGS)
    np.testing.assert_array_equal(before[learnt], after[learnt])
