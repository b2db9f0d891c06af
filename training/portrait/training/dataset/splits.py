"""Hold-out of events: the evaluation protocol as one object, by which every model is measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.training.dataset import sufficiency
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.enums import Split
from portrait.training.errors import TrainingError

MAX_REPEAT_SHARE = 0.05
"""Above this share of validation targets that their context holds already, seen items are ranked as well."""
TIME_TRAIN_SHARE, TIME_VALIDATION_SHARE = 0.8, 0.1


@dataclass(frozen=True)
class Holdout:
    """Target events of training, validation and test. A target's context is every earlier event of its shopper."""

    split: Split
    train: NDArray[np.bool_]
    """`[events]`: events that training may learn from; after a refit, those of the validation period too."""
    validation: NDArray[np.int64]
    """Events to choose settings by, at most one a shopper; each carries an item."""
    test: NDArray[np.int64]
    """Events to report, at most one a shopper; each carries an item."""
    item_counts: NDArray[np.float64]
    """`[items]`: how often each item occurs among the training events."""
    mask_seen: bool
    """Rank only items that the context does not hold, unless it ends with a search. False where shoppers come back to
    items they know, as in groceries: there the familiar item is what is asked for."""

    def learnt(self, corpus: Corpus) -> NDArray[np.int64]:
        """Events with an item that training may learn from, ascending."""
        return np.flatnonzero(self.train & (corpus.event_item != NO_ITEM))


def hold_out(corpus: Corpus, split: Split, refit: bool = False) -> Holdout:
    """Split a corpus.

    Args:
        corpus: the events.
        split: what is held out.
        refit: training may learn from everything earlier than the test.

    Raises:
        TrainingError: the corpus can't be split this way, or nothing of it would be held out or learnt from.
    """
    train, validation, test = _SPLITS[split](corpus, refit)
    if not (len(test) and len(validation) and (train & corpus.has_context).any()):
        raise TrainingError(sufficiency.describe_shortage(corpus, split, count_pairs(corpus)))
    items = corpus.event_item[train]
    counts = np.bincount(items[items != NO_ITEM], minlength=len(corpus.items)).astype(np.float64)
    return Holdout(
        split, train, validation, test, counts, mask_seen=_repeat_share(corpus, validation) <= MAX_REPEAT_SHARE
    )


def count_pairs(corpus: Corpus) -> sufficiency.PairCounts:
    """Count what each split that is possible gives to learn from, to validate by and to test by."""
    pairs = {}
    for split, hold in _SPLITS.items():
        if split is Split.LOO or not np.isnan(corpus.columns.time).any():
            train, validation, test = hold(corpus, refit=False)
            learnt = int((train & corpus.has_context & (corpus.event_item != NO_ITEM)).sum())
            pairs[split] = (learnt, len(validation), len(test))
    return pairs


def _repeat_share(corpus: Corpus, targets: NDArray[np.int64]) -> float:
    """Share of targets whose item stands in their context."""
    repeated = [
        corpus.event_item[target] in corpus.event_item[corpus.shopper_start[target] : corpus.context_end[target]]
        for target in targets
    ]
    return float(np.mean(repeated)) if repeated else 0.0


def _split_leave_one_out(corpus: Corpus, refit: bool) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Held out are the last event with an item, the one before it, and all that stands between or after them."""
    train = np.ones(len(corpus.event_item), dtype=bool)
    validation, test = [], []
    for start, end in zip(corpus.starts[:-1], corpus.starts[1:], strict=True):
        with_item = start + np.flatnonzero(corpus.event_item[start:end] != NO_ITEM)
        if len(with_item) >= 3:
            train[corpus.context_end[with_item[-1 if refit else -2]] : end] = False
            validation.append(with_item[-2])
            test.append(with_item[-1])
    return train, _keep_with_context(corpus, validation), _keep_with_context(corpus, test)


def _keep_with_context(corpus: Corpus, events: list[np.int64]) -> NDArray[np.int64]:
    """Those that can be predicted: what the shopper did in one moment only has nothing to be predicted from."""
    chosen = np.array(events, dtype=np.int64)
    return chosen[corpus.has_context[chosen]]


def _split_by_time(corpus: Corpus, refit: bool) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    time = corpus.columns.time
    if np.isnan(time).any():
        raise TrainingError("the data set has events without a time: it can't be split by time; use --split loo")
    first_validation, first_test = np.quantile(time, [TIME_TRAIN_SHARE, TIME_TRAIN_SHARE + TIME_VALIDATION_SHARE])
    return (
        time < (first_test if refit else first_validation),
        _first_events_with_item(corpus, (time >= first_validation) & (time < first_test)),
        _first_events_with_item(corpus, time >= first_test),
    )


def _first_events_with_item(corpus: Corpus, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Each shopper's first chosen event that carries an item, if the shopper did something before it."""
    events = np.flatnonzero(chosen & (corpus.event_item != NO_ITEM))
    _, first = np.unique(corpus.event_shopper[events], return_index=True)
    chosen_first = events[first]
    return chosen_first[corpus.has_context[chosen_first]]


_SPLITS = {Split.LOO: _split_leave_one_out, Split.TIME: _split_by_time}
