"""Point-in-time samples: windows of histories, and the targets that each moment of them must predict.

A sample's context is what its shopper did strictly before the target's own time: events of the same moment (a
basket, a day in a log without hours) never see each other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import MAX_ENCODED_EVENTS, compute_ages
from portrait.training.dataset.corpus import NO_ITEM, Corpus

STRIDE = MAX_ENCODED_EVENTS // 2
"""Windows of a long history overlap by half, so that a target sees at least this many events."""


@dataclass(frozen=True)
class Samples:
    """Pairs of a context and a target, grouped by the window of events that holds the context."""

    window_start: NDArray[np.int64]
    """`[windows]`: first event of each window."""
    window_end: NDArray[np.int64]
    """`[windows]`: end of each window; at most `MAX_ENCODED_EVENTS` later."""
    pair_start: NDArray[np.int64]
    """`[windows + 1]`: the pairs of window w are `pair_start[w]:pair_start[w + 1]`."""
    last: NDArray[np.int64]
    """`[pairs]`: last event of the context."""
    target: NDArray[np.int64]
    """`[pairs]`: event to predict; it carries an item and is later than `last`."""

    def __len__(self) -> int:
        return len(self.target)


def _pair_contexts(
    corpus: Corpus, targets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Last event of the context, target, and first event of the shopper; targets with no context are left out."""
    targets = targets[corpus.event_item[targets] != NO_ITEM]
    shopper_start = corpus.shopper_start[targets]
    last = corpus.context_end[targets] - 1
    known = last >= shopper_start
    return last[known], targets[known], shopper_start[known]


def build_training_samples(corpus: Corpus, targets: NDArray[np.int64]) -> Samples:
    """Samples for training: many targets share the window that holds their contexts.

    Args:
        corpus: the events.
        targets: events that carry an item, ascending.
    """
    last, target, shopper_start = _pair_contexts(corpus, targets)
    start = shopper_start + STRIDE * np.maximum(0, (last - shopper_start) // STRIDE - 1)
    window_start, first_pair = np.unique(start, return_index=True)
    pair_start = np.append(first_pair, len(target))
    # Pairs are in the order of their targets, so the last pair of a window has its latest context.
    window_end = last[pair_start[1:] - 1] + 1 if len(target) else window_start
    return Samples(window_start, window_end, pair_start, last, target)


def build_serving_samples(corpus: Corpus, targets: NDArray[np.int64]) -> Samples:
    """Samples as serving sees them: each target has a window of its own, of the latest `MAX_ENCODED_EVENTS` events."""
    last, target, shopper_start = _pair_contexts(corpus, targets)
    start = np.maximum(shopper_start, last + 1 - MAX_ENCODED_EVENTS)
    return Samples(start, last + 1, np.arange(len(target) + 1), last, target)


@dataclass(frozen=True)
class Batch:
    """Windows padded on the left to one length, and the pairs that fall into them."""

    event: NDArray[np.int64]
    """`[windows, length]`: event at each place; -1 is padding."""
    event_type: NDArray[np.int64]
    event_age: NDArray[np.float32]
    """`[windows, length]`: days before the window's last event; -1 if unknown."""
    event_numbers: NDArray[np.float32]
    mask: NDArray[np.int64]
    pair_row: NDArray[np.int64]
    """`[pairs]`: window of each pair."""
    pair_position: NDArray[np.int64]
    """`[pairs]`: place of the context's last event in its window."""
    pair_gap: NDArray[np.float32]
    """`[pairs]`: days from the context's last event to the target; -1 if unknown."""
    target: NDArray[np.int64]
    """`[pairs]`: item row of each target."""
    target_event: NDArray[np.int64]
    """`[pairs]`: event of each target."""

    def take_share(self, rank: int, count: int) -> tuple["Batch", NDArray[np.int64]]:
        """Take the share of one of several processes: every n-th window, with its pairs.

        Args:
            rank: number of the process, from 0.
            count: number of processes.

        Returns:
            The share, as wide as the batch and maybe without a window, and `[pairs]` positions of its pairs in the
            batch.
        """
        pairs = np.flatnonzero(self.pair_row % count == rank)
        windows = slice(rank, None, count)
        share = Batch(
            event=self.event[windows],
            event_type=self.event_type[windows],
            event_age=self.event_age[windows],
            event_numbers=self.event_numbers[windows],
            mask=self.mask[windows],
            pair_row=self.pair_row[pairs] // count,
            pair_position=self.pair_position[pairs],
            pair_gap=self.pair_gap[pairs],
            target=self.target[pairs],
            target_event=self.target_event[pairs],
        )
        return share, pairs


class Batcher:
    """Cuts samples into batches of about equal cost.

    Args:
        corpus: the events.
        samples: what to batch.
        batch_events: number of events in a batch, padding included.
        max_pairs: pairs at most of one window in a batch, drawn anew each epoch.
    """

    def __init__(self, corpus: Corpus, samples: Samples, batch_events: int, max_pairs: int) -> None:
        self._corpus = corpus
        self._samples = samples
        self._batch_events = batch_events
        self._max_pairs = max_pairs

    def split_epoch(self, random: np.random.Generator) -> list[NDArray[np.int64]]:
        """The windows of each batch of one epoch, in random order; windows of like length stand together."""
        lengths = self._samples.window_end - self._samples.window_start
        order = np.lexsort((random.random(len(lengths)), -(-lengths // 4)))
        batches, begin = [], 0
        while begin < len(order):
            # Lengths ascend: the batch's last window decides its width.
            size = 1
            while begin + size < len(order) and (size + 1) * lengths[order[begin + size]] <= self._batch_events:
                size += 1
            batches.append(order[begin : begin + size])
            begin += size
        random.shuffle(batches)
        return batches

    def build_batch(self, windows: NDArray[np.int64], random: np.random.Generator) -> Batch:
        """Model input of some windows."""
        samples, corpus = self._samples, self._corpus
        start, end = samples.window_start[windows], samples.window_end[windows]
        width = int((end - start).max())
        event = end[:, None] - width + np.arange(width)
        real = event >= start[:, None]
        event = np.where(real, event, -1)
        time = corpus.columns.time
        pairs = np.concatenate([self._draw_pairs(int(window), random) for window in windows])
        row = np.repeat(np.arange(len(windows)), [self._count_pairs(int(window)) for window in windows])
        last, target = samples.last[pairs], samples.target[pairs]
        return Batch(
            event=event,
            event_type=np.where(real, corpus.columns.type_code[event], 0),
            event_age=np.where(real, compute_ages(time[event], time[end - 1][:, None]), 0.0).astype(np.float32),
            event_numbers=np.where(real[..., None], corpus.event_numbers[event], 0.0).astype(np.float32),
            mask=real.astype(np.int64),
            pair_row=row,
            pair_position=last - end[row] + width,
            pair_gap=compute_ages(time[last], time[target]),
            target=corpus.event_item[target],
            target_event=target,
        )

    def _count_pairs(self, window: int) -> int:
        first, end = self._samples.pair_start[window : window + 2]
        return int(min(end - first, self._max_pairs))

    def _draw_pairs(self, window: int, random: np.random.Generator) -> NDArray[np.int64]:
        first, end = self._samples.pair_start[window : window + 2]
        if end - first <= self._max_pairs:
            return np.arange(first, end)
        return np.sort(first + random.choice(end - first, self._max_pairs, replace=False))
