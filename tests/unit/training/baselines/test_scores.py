"""Scores of each baseline against a dense computation that is written out event by event."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait.features.text.normalisation import item_text
from portrait.features.text.segmentation import split_words
from portrait.training.baselines import linear, own_history, popularity, transitions
from portrait.training.baselines.contexts import Unit
from portrait.training.baselines.protocol import Task
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.dataset.words import weigh_words
from portrait.training.enums import Split
from portrait.training.ranker.associations import fit_associations
from portrait.training.settings import TrainSettings

DAY = 86_400.0
several = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def _context(corpus: Corpus, target: int) -> list[tuple[int, float]]:
    """Item and time of each event with an item before a target, oldest first."""
    events = range(corpus.shopper_start[target], corpus.context_end[target])
    return [(corpus.event_item[e], corpus.columns.time[e]) for e in events if corpus.event_item[e] != NO_ITEM]


def _decayed(corpus: Corpus, target: int, half_life: float, unit: Unit, latest: int | None = None) -> np.ndarray:
    """The context as one row of weights."""
    context = _context(corpus, target)
    moments = sorted({time for _, time in context})
    row = np.zeros(len(corpus.items))
    for place, (item, time) in list(enumerate(context))[-latest if latest else 0 :]:
        age = {
            Unit.EVENTS: len(context) - 1 - place,
            Unit.MOMENTS: len(moments) - 1 - moments.index(time),
            Unit.DAYS: (corpus.columns.time[target] - time) / DAY,
        }
        row[item] += 0.5 ** (age[unit] / half_life)
    return row


def _training_counts(task: Task) -> np.ndarray:
    counts = np.zeros(len(task.corpus.items))
    for event in np.flatnonzero(task.holdout.train):
        if task.corpus.event_item[event] != NO_ITEM:
            counts[task.corpus.event_item[event]] += 1
    return counts


def _dense_transitions(task: Task, decay: float, backward: float, power: float) -> np.ndarray:
    corpus, size = task.corpus, len(task.corpus.items)
    counts = np.zeros((size, size))
    for shopper in range(len(corpus.shopper_ids)):
        baskets: dict[float, set[int]] = {}
        for event in range(corpus.starts[shopper], corpus.starts[shopper + 1]):
            if task.holdout.train[event] and corpus.event_item[event] != NO_ITEM:
                baskets.setdefault(corpus.columns.time[event], set()).add(corpus.event_item[event])
        moments = list(baskets.values())
        for place, first in enumerate(moments):
            for gap, then in enumerate(moments[place + 1 : place + 1 + transitions.MAX_GAP]):
                for one in first:
                    for other in then:
                        counts[one, other] += decay**gap
                        counts[other, one] += backward * decay**gap
    out, into = np.maximum(counts.sum(1), 1e-9), np.maximum(counts.sum(0), 1e-9)
    return counts / out[:, None] ** 0.5 / into[None] ** power


def _dense_words(corpus: Corpus) -> np.ndarray:
    counted = [Counter(word.casefold() for word in split_words(item_text(item))) for item in corpus.items]
    frequency = Counter(word for words in counted for word in words)
    vocabulary = sorted(word for word, count in frequency.items() if count > 1)
    table = np.zeros((len(counted), len(vocabulary)))
    for row, words in enumerate(counted):
        for column, word in enumerate(vocabulary):
            if word in words:
                table[row, column] = (1 + np.log(words[word])) * np.log(len(counted) / frequency[word])
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(norms > 0, norms, 1.0)


def test_popularity_counts_training_events(task: Task) -> None:
    scores = popularity.score_by_popularity(task)(task.holdout.test)
    assert np.array_equal(scores, np.tile(_training_counts(task), (len(task.holdout.test), 1)))


@several
@given(half_life=st.floats(0.5, 400.0))
def test_recent_popularity_reads_the_days_before_a_target_and_halves_with_each_half_life(
    task: Task, half_life: float
) -> None:
    corpus, targets = task.corpus, task.holdout.test
    learnt = [e for e in np.flatnonzero(task.holdout.train) if corpus.event_item[e] != NO_ITEM]
    scores = popularity.score_by_recent_popularity(task, None, {"half_life_days": half_life})(targets)
    for row, target in enumerate(targets):
        today = corpus.columns.time[target] // DAY
        earlier = [e for e in learnt if corpus.columns.time[e] // DAY < today]
        expected = np.zeros(len(corpus.items))
        latest = max((corpus.columns.time[e] // DAY for e in earlier), default=0.0)
        for event in earlier:
            expected[corpus.event_item[event]] += 0.5 ** ((latest - corpus.columns.time[event] // DAY) / half_life)
        assert np.allclose(scores[row], expected, rtol=1e-4, atol=1e-6)


@several
@given(unit=st.sampled_from(list(Unit)), half_life=st.floats(0.5, 400.0), fill=st.floats(0.0, 1.0))
def test_own_history_decays_by_its_unit_and_is_filled_by_popularity(
    task: Task, unit: Unit, half_life: float, fill: float
) -> None:
    targets, counts = task.holdout.test, _training_counts(task)
    chosen = {"half_life": half_life, "popularity": fill}
    scores = own_history.score_by_own_history(unit, task, None, chosen)(targets)
    for row, target in enumerate(targets):
        expected = _decayed(task.corpus, target, half_life, unit) + fill * counts / counts.max()
        assert np.allclose(scores[row], expected, rtol=1e-4, atol=1e-6)


@several
@given(
    decay=st.floats(0.1, 1.0), backward=st.floats(0.0, 1.0), power=st.floats(0.0, 1.0), half_life=st.floats(0.5, 20.0),
    two_steps=st.sampled_from([0.0, 0.5, 2.0]), text=st.sampled_from([0.0, 0.15, 1.0]),
)  # fmt: skip
def test_transitions_take_one_step_two_steps_and_words(
    task: Task, decay: float, backward: float, power: float, half_life: float, two_steps: float, text: float
) -> None:
    chosen = {
        "gap_decay": decay, "backward": backward, "column_power": power, "half_life_moments": half_life,
        "two_steps": two_steps, "text": text,
    }  # fmt: skip
    counted = transitions.count_transitions(task, chosen)
    dense, words = _dense_transitions(task, decay, backward, power), _dense_words(task.corpus)
    assert np.allclose(counted.toarray(), dense, rtol=1e-4, atol=1e-6)
    targets = task.holdout.test[:5]
    scores = transitions.score_by_transitions(task, counted, chosen)(targets)
    for row, target in enumerate(targets):
        context = _decayed(task.corpus, target, half_life, Unit.MOMENTS, latest=transitions.MAX_CONTEXT_EVENTS)
        one = context @ dense
        expected = one + two_steps * (one @ dense) + text * (context @ words @ words.T)
        assert np.allclose(scores[row], expected, rtol=1e-3, atol=1e-5)


def test_the_largest_transitions_of_an_item_are_kept(task: Task) -> None:
    full = transitions.count_transitions(task, {"gap_decay": 0.7, "backward": 0.5, "column_power": 0.35})
    kept = transitions.keep_largest(full, 3).toarray()
    for row, part in zip(full.toarray(), kept, strict=True):
        assert sorted(part[part > 0]) == sorted(row[row > 0])[-3:]


def test_of_very_many_pairs_a_part_is_counted(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"gap_decay": 1.0, "backward": 0.0, "column_power": 0.0}
    every = transitions.count_transitions(task, chosen)
    monkeypatch.setattr(transitions, "MAX_PAIRS", 300)
    part = transitions.count_transitions(task, chosen)
    assert 0 < part.nnz < every.nnz
    rows, columns = part.nonzero()
    assert (every[rows, columns] > 0).all()


def test_items_of_one_basket_do_not_lead_to_each_other(corpus: Corpus) -> None:
    """A corpus in which each shopper has two moments: nothing leads to what was bought beside it."""
    first = np.zeros(len(corpus.event_item), dtype=bool)
    time = corpus.columns.time.copy()
    for start, end in zip(corpus.starts[:-1], corpus.starts[1:], strict=True):
        middle = (start + end) // 2
        time[start:middle], time[middle:end] = 0.0, 1.0
        first[start:middle] = True
    baskets = dataclasses.replace(corpus, columns=dataclasses.replace(corpus.columns, time=time))
    holdout = dataclasses.replace(hold_out(corpus, Split.LOO), train=np.ones(len(first), dtype=bool))
    counted = transitions.count_transitions(
        Task(baskets, holdout), {"gap_decay": 0.7, "backward": 0.0, "column_power": 0.35}
    ).toarray()
    item = corpus.event_item
    for shopper in range(len(corpus.shopper_ids)):
        own = (corpus.event_shopper == shopper) & (item != NO_ITEM)
        assert (counted[np.ix_(item[own & first], item[own & ~first])] > 0).all()
    only_before = np.setdiff1d(item[first], np.append(item[~first], NO_ITEM))
    assert not counted[:, only_before].any()


def test_words_of_one_item_alone_compare_with_nothing(corpus: Corpus) -> None:
    found, expected = weigh_words(corpus), _dense_words(corpus)
    assert np.allclose((found @ found.T).toarray(), expected @ expected.T, atol=1e-5)


def test_linear_scores_are_those_of_the_release_fit(task: Task) -> None:
    chosen = {"ridge": 30.0, "decay": 0.6}
    train = TrainSettings(association_ridge=30.0, association_decay=0.6)
    events = np.flatnonzero(task.holdout.train & (task.corpus.event_item != NO_ITEM))
    fitted = fit_associations(task.corpus, events, train)
    targets, rows = task.holdout.test, np.arange(len(task.corpus.items))
    scores = linear.score_linearly(task, linear.fit_weights(task, chosen), chosen)(targets)
    for row, target in enumerate(targets):
        context = _context(task.corpus, target)
        expected = fitted.score_history([item for item, _ in context], [time for _, time in context]).scores_of(rows)
        assert np.allclose(scores[row], expected, rtol=1e-4, atol=1e-6)


def test_the_fit_that_settings_are_chosen_by_reads_frequent_items_alone(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "MAX_TUNED_ITEMS", 5)
    weights = linear.start_tuning(task)({"ridge": 10.0, "decay": 0.7}).tocoo()
    frequent = np.argsort(-_training_counts(task), kind="stable")[:5]
    assert set(weights.row) | set(weights.col) <= set(frequent)
    assert weights.nnz
