"""Point-in-time samples: nothing at or after a sample's own time is seen, and serving sees the same arrays."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny_data

from portrait.features.events import EVENT_TYPES, Event
from portrait.features.histories import history_arrays as histories
from portrait.features.histories.history_arrays import MAX_ENCODED_SLOTS, MAX_REMEMBERED_EVENTS
from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.devices import CPU
from portrait.training.encoders.samples import (
    Batcher,
    Samples,
    Windows,
    build_serving_samples,
    build_training_samples,
    build_windows,
)
from portrait.training.enums import Preset, Split
from portrait.training.errors import TrainingError
from portrait.training.run.untrained_model import make_untrained_model
from portrait.training.settings import TrainSettings

EVENTS = 4 * MAX_ENCODED_SLOTS
"""Number of events of a shopper."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    # Histories longer than a window, so that windows overlap.
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=25, events=EVENTS))


@pytest.fixture(scope="module")
def baskets(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Purchases in baskets of about ten: 64 of them are more events than serving reads."""
    folder = tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=4, events=900)
    events = pl.read_parquet(folder / "events.parquet").with_columns(
        type=pl.lit("purchase"), query=pl.lit(None, pl.String),
        item_id=pl.col("item_id").fill_null("Lamps-1"), price=pl.col("price").fill_null(8.0),
        time=pl.datetime(2026, 1, 1, time_zone="UTC") + pl.duration(hours=pl.col("sequence") // 10),
    )  # fmt: skip
    events.write_parquet(folder / "events.parquet")
    return load_corpus(folder)


def _context_end(corpus: Corpus, event: int) -> int:
    """Index of the first event of an event's own moment, found one by one."""
    start = corpus.shopper_start[event]
    while event > start and corpus.columns.time[event - 1] == corpus.columns.time[event]:
        event -= 1
    return event


def _with_item(corpus: Corpus) -> np.ndarray:
    return np.flatnonzero(corpus.event_item != NO_ITEM)


@pytest.mark.parametrize("cut", [build_training_samples, build_serving_samples])
def test_no_sample_sees_its_own_time_or_later(corpus: Corpus, cut: Callable[..., Samples]) -> None:
    samples = cut(corpus, _with_item(corpus))
    batcher = Batcher(corpus, samples, batch_slots=2048, max_pairs=1 << 30)
    random = np.random.default_rng(0)
    time, seen = corpus.columns.time, 0
    for windows in batcher.split_epoch(random):
        batch = batcher.build_batch(windows, random)
        targets = np.concatenate([samples.target[slice(*samples.pair_start[w : w + 2])] for w in windows])
        for row, place, target in zip(batch.pair_row, batch.pair_position, targets, strict=True):
            window, column = np.divmod(batch.windows.place, batch.windows.mask.shape[1])
            context = batch.windows.event[(window == row) & (column <= place)]
            assert len(context)
            assert (time[context] < time[target]).all()
            assert (np.searchsorted(corpus.starts, context, side="right")
                    == np.searchsorted(corpus.starts, target, side="right")).all()  # fmt: skip
            seen += 1
    assert seen == len(samples) > 1000


def test_every_target_with_a_past_is_learnt_from_once(corpus: Corpus) -> None:
    targets = _with_item(corpus)
    samples = build_training_samples(corpus, targets)
    with_past = [t for t in targets.tolist() if _context_end(corpus, t) > corpus.shopper_start[t]]
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
def test_training_and_serving_encode_a_history_alike(corpus: Corpus, baskets: Corpus, data: st.DataObject) -> None:
    """The arrays of a held-out sample are those that serving makes of the shopper's events."""
    corpus = data.draw(st.sampled_from([corpus, baskets]))
    targets = build_serving_samples(corpus, _with_item(corpus))
    pair = data.draw(st.integers(0, len(targets) - 1))
    batcher = Batcher(corpus, targets, batch_slots=4096, max_pairs=1)
    batch = batcher.build_batch(np.array([pair]), np.random.default_rng(0))
    target = int(targets.target[pair])
    start, windows = int(corpus.shopper_start[target]), batch.windows
    events = [_event(corpus, place) for place in range(start, _context_end(corpus, target))]
    items = {item.item_id: item for item in corpus.items}

    def percentile(event: Event) -> float:
        item = items.get(event.item_id or "")
        return corpus.price_scale.percentile(item.category_path, event.price) if item else float("nan")

    columns = histories.build_event_columns(events, percentile)
    slots = histories.find_encoded_slots(columns)
    served = histories.pad_histories(
        [histories.encode_history(columns, slots, float(corpus.columns.time[target]))], windows.mask.shape[1]
    )
    np.testing.assert_array_equal(windows.event_type, served.event_type)
    np.testing.assert_array_equal(windows.event_numbers, served.event_numbers)
    np.testing.assert_array_equal(windows.mask, served.mask)
    # Training counts ages back from the last event and tells the gap to the target apart.
    np.testing.assert_allclose(windows.event_age + batch.pair_gap, served.event_age, atol=1e-3)
    assert windows.event.tolist() == list(range(start + slots[0], start + len(events)))
    assert [int(place) for place in np.unique(windows.place, return_index=True)[1]] == (slots - slots[0]).tolist()


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
    batcher = Batcher(corpus, build_training_samples(corpus, _with_item(corpus)), batch_slots=2048, max_pairs=16)
    windows = batcher.split_epoch(np.random.default_rng(0))[0]
    batch = batcher.build_batch(windows, np.random.default_rng(1))
    shares = [batcher.build_batch(windows, np.random.default_rng(1), rank, count) for rank in range(count)]
    assert sorted(np.concatenate([share.pair for share in shares]).tolist()) == list(range(len(batch.target)))
    assert sum(len(share.windows.mask) for share in shares) == len(batch.windows.mask)
    for share in shares:
        assert np.array_equal(share.target, batch.target)
        width = share.windows.mask.shape[1]
        for name in ("target_event", "pair_gap"):
            assert np.array_equal(getattr(share, name), getattr(batch, name)[share.pair])
        # Windows are padded on the left, to the longest one of the share.
        before_end = batch.pair_position[share.pair] - batch.windows.mask.shape[1]
        assert np.array_equal(share.pair_position - width, before_end)
        for name in ("mask", "event_age", "event_numbers"):
            own, whole = getattr(share.windows, name), getattr(batch.windows, name)[batch.pair_row[share.pair]]
            assert np.array_equal(own[share.pair_row], whole[:, -width:])
            assert not whole[:, :-width].any()
        for own, whole in zip(share.pair_row.tolist(), batch.pair_row[share.pair].tolist(), strict=True):
            assert _list_events(share.windows, own) == _list_events(batch.windows, whole)


def _list_events(windows: Windows, row: int) -> list[tuple[int, int]]:
    """Place before the window's end, and event, of each event of a window."""
    window, column = np.divmod(windows.place, windows.mask.shape[1])
    before_end = column[window == row] - windows.mask.shape[1]
    return list(zip(before_end.tolist(), windows.event[window == row].tolist(), strict=True))


def test_a_basket_is_one_slot(baskets: Corpus) -> None:
    samples = build_serving_samples(baskets, _with_item(baskets))
    batch = Batcher(baskets, samples, batch_slots=4096, max_pairs=1).build_batch(
        np.arange(len(samples)), np.random.default_rng(0)
    )
    last = int(np.flatnonzero(samples.target == baskets.starts[1] - 1)[0])
    # All of the latest events that serving reads: 51 whole baskets of ten, and two events of the one before.
    sizes = np.unique([column for column, _ in _list_events(batch.windows, last)], return_counts=True)[1]
    assert sizes.tolist() == [2] + [10] * (MAX_REMEMBERED_EVENTS // 10)
    early = int(np.flatnonzero(samples.target == 25)[0])
    assert [event for _, event in _list_events(batch.windows, early)] == list(range(20))


def test_the_order_of_a_basket_changes_nothing(baskets: Corpus, tmp_path: Path) -> None:
    settings = TrainSettings.from_preset(
        Preset.QUICK, base_model=str(tiny_data.write_bert(tmp_path / "bert")), dimension=16
    )
    holdout = hold_out(baskets, Split.LOO)
    model, cache, _ = make_untrained_model(baskets, holdout, settings, CPU)
    model.eval()
    turned = dataclasses.replace(baskets, event_item=baskets.event_item.copy(), event_text=baskets.event_text.copy())
    for values in (turned.event_item, turned.event_text):
        values[:10] = values[:10][::-1]
    windows = build_windows(baskets, np.array([0]), np.array([3]))
    with torch.no_grad():
        first, second = (model.encode_slots(cache, each, windows) for each in (baskets, turned))
    assert not np.array_equal(baskets.event_item[:10], turned.event_item[:10])
    torch.testing.assert_close(first, second)


def test_a_large_basket_does_not_crowd_out_the_others(baskets: Corpus) -> None:
    """Each moment gives one target before any gives a second one."""
    samples = build_training_samples(baskets, _with_item(baskets))
    batcher = Batcher(baskets, samples, batch_slots=2048, max_pairs=40)
    batch = batcher.build_batch(np.array([0]), np.random.default_rng(0))
    moments = baskets.context_end[batch.target_event]
    available = len(np.unique(baskets.context_end[samples.target[slice(*samples.pair_start[:2])]]))
    drawn = np.unique(moments, return_counts=True)[1]
    assert len(batch.target) == 40
    assert len(drawn) == min(40, available)
    assert drawn.max() - drawn.min() <= 1
