"""Tells what a log lacks for training, and what to do about it, in one line."""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.enums import Split

MIN_SHOPPERS = 20
MIN_PAIRS = 100
"""Events to learn from that an earlier event of their shopper may foretell."""
MIN_LOO_TIMES = 3
"""Times at which a shopper needs events: a context, one to validate by, and one to test by."""

PairCounts = dict[Split, tuple[int, int, int]]
"""Counts by split: events with a context for training, validation and test."""


def describe_shortage(corpus: Corpus, split: Split, pairs: PairCounts) -> str:
    """Say why a log is too little for a split.

    Args:
        corpus: the events.
        split: the one that was asked for.
        pairs: of every split, the other one included.
    """
    learnt, validated, tested = pairs[split]
    found = (
        f"too little data for --split {split}: {learnt} events to learn from that follow an earlier one of their "
        f"shopper (at least {MIN_PAIRS} are needed), {validated} to validate by and {tested} to test by "
        "(at least 1 each)"
    )
    return f"{found}; {_describe_reason(corpus, split)}; {_describe_remedy(split, pairs)}"


def is_sufficient(counts: tuple[int, int, int]) -> bool:
    """Tell whether as many events with a context suffice to learn from, to validate by and to test by."""
    return counts[0] >= MIN_PAIRS and min(counts[1:]) > 0


def _describe_reason(corpus: Corpus, split: Split) -> str:
    times = np.unique(corpus.columns.time)
    if len(times) == 1 and not np.isnan(times[0]):
        return f"all events of the log have one time, {datetime.fromtimestamp(times[0], UTC):%Y-%m-%d %H:%M:%S} UTC"
    moments = _count_distinct_times(corpus)
    basket = "the lines of one order, or other events of one time, do not foretell one another"
    if moments.max() < 2:
        return f"no shopper has events at two times, and {basket}"
    few = int((moments < MIN_LOO_TIMES).sum())
    if split is Split.LOO and few:
        return f"{few} of {len(moments)} shoppers have events at fewer than {MIN_LOO_TIMES} times, and {basket}"
    return f"shoppers have events at {np.median(moments):g} times in the median, and {basket}"


def _describe_remedy(split: Split, pairs: PairCounts) -> str:
    for other, counts in pairs.items():
        if other is not split and is_sufficient(counts):
            return f"--split {other} would have {counts[0]}, {counts[1]} and {counts[2]}"
    return "give a log of a longer time, or the views and clicks between orders, each with its own time"


def _count_distinct_times(corpus: Corpus) -> NDArray[np.int64]:
    """`[shoppers]`: at how many times each has an event with an item."""
    events = np.flatnonzero(corpus.event_item != NO_ITEM)
    moments = np.unique(np.stack([corpus.event_shopper[events], corpus.context_end[events]]), axis=1)
    return np.bincount(moments[0], minlength=len(corpus.shopper_ids))
