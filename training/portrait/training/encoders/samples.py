"""Point-in-time samples: windows of histories, and the targets that each moment of them must predict.

A sample's context is what its shopper did strictly before the target's own time: events of the same moment (a
basket, a day in a log without hours) never see each other. In a context, they are one slot
(`histories.history_arrays`).
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import (
    MAX_ENCODED_SLOTS,
    MAX_REMEMBERED_EVENTS,
    compute_ages,
    compute_event_numbers,
    compute_slot_numbers,
)
from portrait.training.dataset.corpus import NO_ITEM, Corpus

Number = TypeVar("Number", bound=np.generic)

STRIDE = MAX_ENCODED_SLOTS // 2
"""Windows of a long history overlap by half, so that a target sees at least this many slots."""


@dataclass(frozen=True)
class Samples:
    """Pairs of a context and a target, grouped by the window of slots that holds the context."""

    first_event: NDArray[np.int64]
    """`[windows]`: first event of each window."""
    window_end: NDArray[np.int64]
    """`[windows]`: end of each window in slots; at most `MAX_ENCODED_SLOTS` after that of the first event."""
    pair_start: NDArray[np.int64]
    """`[windows + 1]`: the pairs of window w are `pair_start[w]:pair_start[w + 1]`."""
    last: NDArray[np.int64]
    """`[pairs]`: last slot of the context."""
    target: NDArray[np.int64]
    """`[pairs]`: event to predict; it carries an item and is later than `last`."""

    def __len__(self) -> int:
        return len(self.target)


def _pair_contexts(
    corpus: Corpus, targets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Last slot of the context, target, and first event of the shopper; targets with no context are left out."""
    targets = targets[(corpus.event_item[targets] != NO_ITEM) & corpus.has_context[targets]]
    return corpus.event_slot[corpus.context_end[targets] - 1], targets, corpus.shopper_start[targets]


def build_training_samples(corpus: Corpus, targets: NDArray[np.int64]) -> Samples:
    """Samples for training: many targets share the window that holds their contexts.

    Args:
        corpus: the events.
        targets: events that carry an item, ascending.
    """
    last, target, shopper_start = _pair_contexts(corpus, targets)
    first_slot = corpus.event_slot[shopper_start]
    start = first_slot + STRIDE * np.maximum(0, (last - first_slot) // STRIDE - 1)
    window_start, first_pair = np.unique(start, return_index=True)
    pair_start = np.append(first_pair, len(target))
    # Pairs are in the order of their targets, so the last pair of a window has its latest context.
    window_end = last[pair_start[1:] - 1] + 1 if len(target) else window_start
    return Samples(corpus.slot_start[window_start], window_end, pair_start, last, target)


def build_serving_samples(corpus: Corpus, targets: NDArray[np.int64]) -> Samples:
    """Samples as serving sees them: each target has a window of its own, the latest `MAX_ENCODED_SLOTS` slots."""
    last, target, shopper_start = _pair_contexts(corpus, targets)
    first = find_first_events(corpus, shopper_start, last + 1)
    return Samples(first, last + 1, np.arange(len(target) + 1), last, target)


def find_first_events(corpus: Corpus, shopper_start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[windows]`: the first event that serving encodes of each history.

    Args:
        corpus: the events.
        shopper_start: `[windows]`, first event of each shopper.
        end: `[windows]`, end of each history in slots.
    """
    latest = corpus.slot_start[end] - MAX_REMEMBERED_EVENTS
    return np.maximum.reduce([shopper_start, latest, corpus.slot_start[np.maximum(end - MAX_ENCODED_SLOTS, 0)]])


@dataclass(frozen=True)
class Windows:
    """Slots of some windows, padded on the left to one length."""

    event: NDArray[np.int64]
    """`[events]`: the events of all slots."""
    place: NDArray[np.int64]
    """`[events]`, ascending: place of each event's slot among `windows × length`."""
    event_type: NDArray[np.int64]
    """`[windows, length]`, and so on; see `HistoryArrays`."""
    event_age: NDArray[np.float32]
    """`[windows, length]`: days before the window's last slot; -1 if unknown."""
    event_numbers: NDArray[np.float32]
    mask: NDArray[np.int64]


def build_windows(corpus: Corpus, first_event: NDArray[np.int64], end: NDArray[np.int64]) -> Windows:
    """Build the model input of windows of slots.

    Args:
        corpus: the events.
        first_event: `[windows]`, first event of each window.
        end: `[windows]`, end of each window in slots.
    """
    end_event = corpus.slot_start[end]
    counts = end_event - first_event
    window = np.repeat(np.arange(len(end)), counts)
    event = np.arange(counts.sum()) + np.repeat(first_event - np.cumsum(counts) + counts, counts)
    length = int((end - corpus.event_slot[first_event]).max(initial=1))
    place = corpus.event_slot[event] + (length * (np.arange(len(end)) + 1) - end)[window]
    places, first = np.unique(place, return_index=True)
    age = compute_ages(corpus.columns.time[event[first]], corpus.columns.time[end_event - 1][window[first]])
    numbers = compute_slot_numbers(compute_event_numbers(corpus.columns.take(event)), first)

    def spread(values: NDArray[Number]) -> NDArray[Number]:
        padded = np.zeros((len(end) * length, *values.shape[1:]), dtype=values.dtype)
        padded[places] = values
        return padded.reshape(len(end), length, *values.shape[1:])

    return Windows(
        event=event,
        place=place,
        event_type=spread(corpus.columns.type_code[event[first]]),
        event_age=spread(age),
        event_numbers=spread(numbers),
        mask=spread(np.ones(len(places), dtype=np.int64)),
    )


@dataclass(frozen=True)
class Batch:
    """Windows, and the pairs that fall into them; or the share that one of several processes has of them."""

    windows: Windows
    pair_row: NDArray[np.int64]
    """`[pairs]`: window of each pair."""
    pair_position: NDArray[np.int64]
    """`[pairs]`: place of the context's last slot in its window."""
    pair_gap: NDArray[np.float32]
    """`[pairs]`: days from the context's last slot to the target; -1 if unknown."""
    target_event: NDArray[np.int64]
    """`[pairs]`: event of each target."""
    pair: NDArray[np.int64]
    """`[pairs]`: place of each pair among those of all shares."""
    target: NDArray[np.int64]
    """`[pairs of all shares]`: item row of each target."""


class Batcher:
    """Cuts samples into batches of about equal cost.

    Args:
        corpus: the events.
        samples: what to batch.
        batch_slots: number of slots in a batch, padding included.
        max_pairs: pairs at most of one window in a batch, drawn anew each epoch: one of each moment, before any
            has two.
    """

    def __init__(self, corpus: Corpus, samples: Samples, batch_slots: int, max_pairs: int) -> None:
        self._corpus = corpus
        self._samples = samples
        self._batch_slots = batch_slots
        self._max_pairs = max_pairs

    def split_epoch(self, random: np.random.Generator) -> list[NDArray[np.int64]]:
        """The windows of each batch of one epoch, in random order; windows of like length stand together."""
        lengths = self._samples.window_end - self._corpus.event_slot[self._samples.first_event]
        order = np.lexsort((random.random(len(lengths)), -(-lengths // 4)))
        batches, begin = [], 0
        while begin < len(order):
            # Lengths ascend: the batch's last window decides its width.
            size = 1
            while begin + size < len(order) and (size + 1) * lengths[order[begin + size]] <= self._batch_slots:
                size += 1
            batches.append(order[begin : begin + size])
            begin += size
        random.shuffle(batches)
        return batches

    def build_batch(
        self, windows: NDArray[np.int64], random: np.random.Generator, rank: int = 0, count: int = 1
    ) -> Batch:
        """Build the model input of some windows, or the share that one of several processes has of it.

        All processes draw the same pairs. Each reads the events of its own windows only.

        Args:
            windows: the batch.
            random: draws pairs.
            rank: number of the process, from 0; its share is every n-th window, maybe none.
            count: number of processes.
        """
        samples, corpus, time = self._samples, self._corpus, self._corpus.columns.time
        drawn = [self._draw_pairs(int(window), random) for window in windows]
        pairs = np.concatenate(drawn)
        row = np.repeat(np.arange(len(windows)), [len(each) for each in drawn])
        own, own_windows = np.flatnonzero(row % count == rank), windows[rank::count]
        own_row, end = row[own] // count, samples.window_end[own_windows]
        built = build_windows(corpus, samples.first_event[own_windows], end)
        last, target = samples.last[pairs[own]], samples.target[pairs[own]]
        return Batch(
            windows=built,
            pair_row=own_row,
            pair_position=last - end[own_row] + built.mask.shape[1],
            pair_gap=compute_ages(time[corpus.slot_start[last]], time[target]),
            target_event=target,
            pair=own,
            target=corpus.event_item[samples.target[pairs]],
        )

    def _draw_pairs(self, window: int, random: np.random.Generator) -> NDArray[np.int64]:
        first, end = self._samples.pair_start[window : window + 2]
        if end - first <= self._max_pairs:
            return np.arange(first, end)
        # A large basket would crowd out the others: each moment's n-th target comes before any moment's next one.
        shuffled = first + random.permutation(end - first)
        moment = self._corpus.context_end[self._samples.target[shuffled]]
        order = np.argsort(moment, kind="stable")
        moment = moment[order]
        turn = np.empty(len(order), dtype=np.int64)
        turn[order] = np.arange(len(order)) - np.searchsorted(moment, moment)
        return np.sort(shuffled[np.argsort(turn, kind="stable")[: self._max_pairs]])
