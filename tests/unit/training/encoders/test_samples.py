"""Point-in-time samples: nothing at or after a sample's own time is seen, and serving sees the same arrays."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny_data

from portrait.features.events import EVENT_TYPES, Event
from portrait.features.histories import history_arrays as histories
from portrait.features.histories.history_arrays import MAX_ENCODED_EVENTS
from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.encoders.samples import Batcher, Samples, build_serving_samples, build_training_samples
from portrait.training.enums import Split
from portrait.training.errors import TrainingError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    # Histories longer than a window, so that windows overlap.
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=25, events=3 * MAX_ENCODED_EVENTS))


def _context_end(corpus: Corpus, event: int) -> int:
    """Index of the first event of an event's own moment, found one by one."""
    start = corpus.starts[event // (3 * MAX_ENCODED_EVENTS)]
    while event > start and corpus.columns.time[event - 1] == corpus.columns.time[event]:
        event -= 1
    return event


def _with_item(corpus: Corpus) -> np.ndarray:
    return np.flatnonzero(corpus.event_item != NO_ITEM)


@pytest.mark.parametrize("cut", [build_training_samples, build_serving_samples])
def test_no_sample_sees_its_own_time_or_later(corpus: Corpus, cut: Callable[..., Samples]) -> None:
    samples = cut(corpus, _with_item(corpus))
    batcher = Batcher(corpus, samples, batch_events=2048, max_pairs=1 << 30)
    random = np.random.default_rng(0)
    time, seen = corpus.columns.time, 0
    for windows in batcher.split_epoch(random):
        batch = batcher.build_batch(windows, random)
        targets = np.concatenate([samples.target[slice(*samples.pair_start[w : w + 2])] for w in windows])
        for row, place, target in zip(batch.pair_row, batch.pair_position, targets, strict=True):
            context = batch.event[row, : place + 1]
            context = context[context >= 0]
            assert len(context)
            assert (time[context] < time[target]).all()
            assert (np.searchsorted(corpus.starts, context, side="right")
                    == np.searchsorted(corpus.starts, target, side="right")).all()  # fmt: skip
            seen += 1
    assert seen == len(samples) > 1000


def test_every_target_with_a_past_is_learnt_from_once(corpus: Corpus) -> None:
    targets = _with_item(corpus)
    samples = build_training_samples(corpus, targets)
    with_past = [t for t in targets.tolist() if _context_end(corpus, t) > corpus.starts[t // (3 * MAX_ENCODED_EVENTS)]]
    assert samples.target.tolist() == with_past


def _event(corpus: Corpus, place: int) -> Event:
    columns = corpus.columns

    def number(values: np.ndarray) -> float | None:
        return None if np.isnan(values[place]) else float(values[place])

    item = int(corpus.event_item[place])
    return Event(
        event_id=str(place),
        type=EVENT_TYPES[columns.type_code[place] - 1],
        time=datetime.fromtimestamp(columns.time[place], UTC),
        item_id=None if item == NO_ITEM else corpus.items[item].item_id,
        price=None if item == NO_ITEM else corpus.items[item].price,
        quantity=number(columns.quantity),
        rating=number(columns.rating),
        dwell_seconds=number(columns.dwell_seconds),
        position=None if np.isnan(columns.position[place]) else int(columns.position[place]),
    )


@given(st.data())
@settings(max_examples=25)
def test_training_and_serving_encode_a_history_alike(corpus: Corpus, data: st.DataObject) -> None:
    """The arrays of a held-out sample are those that serving makes of the shopper's events."""
    targets = build_serving_samples(corpus, _with_item(corpus))
    pair = data.draw(st.integers(0, len(targets) - 1))
    batcher = Batcher(corpus, targets, batch_events=4096, max_pairs=1)
    batch = batcher.build_batch(np.array([pair]), np.random.default_rng(0))
    target = int(targets.target[pair])
    start = int(corpus.starts[target // (3 * MAX_ENCODED_EVENTS)])
    events = [_event(corpus, place) for place in range(start, _context_end(corpus, target))]
    items = {item.item_id: item for item in corpus.items}

    def percentile(event: Event) -> float:
        item = items.get(event.item_id or "")
        return corpus.price_scale.percentile(item.category_path, event.price) if item else float("nan")

    columns = histories.build_event_columns(events, percentile)
    served = histories.pad_histories(
        [histories.encode_history(columns, float(corpus.columns.time[target]))], batch.event.shape[1]
    )
    np.testing.assert_array_equal(batch.event_type, served.event_type)
    np.testing.assert_array_equal(batch.event_numbers, served.event_numbers)
    np.testing.assert_array_equal(batch.mask, served.mask)
    # Training counts ages back from the last event and tells the gap to the target apart.
    np.testing.assert_allclose(batch.event_age + batch.pair_gap, served.event_age, atol=1e-3)


@pytest.mark.parametrize("split", list(Split))
def test_held_out_events_are_never_learnt_from(corpus: Corpus, split: Split) -> None:
    holdout = hold_out(corpus, split)
    assert not holdout.train[holdout.validation].any()
    assert not holdout.train[holdout.test].any()
    if split is Split.TIME:
        assert corpus.columns.time[holdout.train].max() < corpus.columns.time[holdout.validation].min()
        assert corpus.columns.time[holdout.validation].max() < corpus.columns.time[holdout.test].min()


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="portrait prepare"):
        load_corpus(tmp_path)


@pytest.mark.parametrize("count", [1, 2, 3, 64])
def test_the_shares_of_processes_hold_each_pair_of_a_batch_once(corpus: Corpus, count: int) -> None:
    batcher = Batcher(corpus, build_training_samples(corpus, _with_item(corpus)), batch_events=2048, max_pairs=16)
    random = np.random.default_rng(0)
    batch = batcher.build_batch(batcher.split_epoch(random)[0], random)
    shares = [batch.take_share(rank, count) for rank in range(count)]
    assert sorted(np.concatenate([pairs for _, pairs in shares]).tolist()) == list(range(len(batch.target)))
    assert sum(len(share.event) for share, _ in shares) == len(batch.event)
    for share, pairs in shares:
        for name in ("target", "target_event", "pair_gap", "pair_position"):
            assert np.array_equal(getattr(share, name), getattr(batch, name)[pairs])
        assert np.array_equal(share.event[share.pair_row], batch.event[batch.pair_row[pairs]])
        assert np.array_equal(share.event_age[share.pair_row], batch.event_age[batch.pair_row[pairs]])
