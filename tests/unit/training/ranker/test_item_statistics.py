"""Statistics of items against the same sums written out event by event."""

import dataclasses
from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray
from support import tiny_data

from portrait.features.candidates.item_statistics import ITEM_STATISTICS, RECENT_HALF_LIVES_DAYS
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.ranker.item_statistics import RecentPopularity, compute_item_statistics


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=12, events=30))


@pytest.fixture(scope="module")
def events(corpus: Corpus) -> NDArray[np.int64]:
    return np.flatnonzero(corpus.event_item != NO_ITEM)


def recent_popularity(corpus: Corpus, events: NDArray[np.int64], time: float) -> NDArray[np.float64]:
    """Share of each item in the decayed events before a time, times the number of items, on a logarithmic scale."""
    earlier = events[corpus.columns.time[events] < time]
    age = (time - corpus.columns.time[earlier]) / SECONDS_PER_DAY
    columns = []
    for half_life in RECENT_HALF_LIVES_DAYS:
        weights = 0.5 ** (age / half_life)
        counts = np.bincount(corpus.event_item[earlier], weights, minlength=len(corpus.items))
        columns.append(np.log1p(len(corpus.items) * counts / weights.sum()))
    return np.stack(columns, axis=1)


def test_statistics_are_those_of_a_plain_loop(corpus: Corpus, events: NDArray[np.int64]) -> None:
    found = dict(zip(ITEM_STATISTICS, compute_item_statistics(corpus, events).T, strict=True))
    counts = np.bincount(corpus.event_item[events], minlength=len(corpus.items))
    assert found["popularity"] == pytest.approx(np.log1p(counts) / np.log1p(counts.max()))
    end = float(corpus.columns.time[events].max()) + 1.0  # the last events count too
    expected = recent_popularity(corpus, events, end)
    for column, days in enumerate(RECENT_HALF_LIVES_DAYS):
        assert found[f"popularity_{days:g}d"] == pytest.approx(expected[:, column], abs=1e-5)
    days: dict[int, dict[int, set[float]]] = defaultdict(lambda: defaultdict(set))
    for event in events.tolist():
        shopper, item = int(corpus.event_shopper[event]), int(corpus.event_item[event])
        days[item][shopper].add(float(corpus.columns.time[event]) / SECONDS_PER_DAY)
    for item, by_shopper in days.items():
        came_back = sum(len(moments) > 1 for moments in by_shopper.values())
        assert found["repeat_share"][item] == pytest.approx(came_back / (len(by_shopper) + 3))
        gaps = [gap for moments in by_shopper.values() for gap in np.diff(sorted(moments)).tolist()]
        assert found["repeat_days"][item] == pytest.approx(np.log1p(np.median(gaps)) if gaps else 0.0, abs=1e-5)


def test_an_item_that_nobody_acted_on_has_nothing(corpus: Corpus, events: NDArray[np.int64]) -> None:
    unknown = int(corpus.event_item[events[0]])
    found = compute_item_statistics(corpus, events[corpus.event_item[events] != unknown])
    assert not found[unknown].any()
    assert not compute_item_statistics(corpus, events[:0]).any()


def test_without_times_only_what_needs_none_is_known(corpus: Corpus, events: NDArray[np.int64]) -> None:
    timeless = dataclasses.replace(corpus.columns, time=np.full(len(corpus.columns.time), np.nan))
    found = dict(
        zip(
            ITEM_STATISTICS,
            compute_item_statistics(dataclasses.replace(corpus, columns=timeless), events).T,
            strict=True,
        )
    )
    assert found["popularity"].max() == 1.0
    assert found["repeat_share"].any()
    for name in (*(f"popularity_{days:g}d" for days in RECENT_HALF_LIVES_DAYS), "repeat_days"):
        assert not found[name].any(), name


def test_popularity_of_late_moves_forward_and_never_sees_what_comes_later(
    corpus: Corpus, events: NDArray[np.int64]
) -> None:
    popularity = RecentPopularity(corpus, events)
    first, last = corpus.columns.time[events].min(), corpus.columns.time[events].max()
    # The last step is longer than any half-life can bear without being cut into several.
    for time in (*np.linspace(first + 1.0, last, 5), last + 400 * SECONDS_PER_DAY):
        popularity.advance(float(time))
        assert popularity.scale() == pytest.approx(recent_popularity(corpus, events, float(time)), abs=1e-4)
    assert popularity.scale(np.array([2, 0])) == pytest.approx(popularity.scale()[[2, 0]])
