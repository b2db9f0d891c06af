"""Targets of the ranker: moments of shoppers that the encoders and the relations never learn from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import Holdout

MAX_RANKER_TARGETS = 10_000
RANKER_SHARE = 0.1
"""Share of a shopper's moments that are targets of the ranker, at least one."""
MAX_TARGETS_PER_SHOPPER = 4
"""So that the ranker is fitted to shoppers, and not to those who come most often."""
MAX_HELD_OUT_SHARE = 0.25
"""Share of the events to learn from that the encoders give up at most: in a short log, all but the first moments would
go to the ranker."""


@dataclass(frozen=True)
class RankerTargets:
    """Moments that the ranker is to foresee."""

    events: NDArray[np.int64]
    """`[targets]`: one event of each moment, ascending; its item is one of those to foresee."""
    held_out: NDArray[np.int64]
    """All events with an item of these moments, ascending: nothing else learns from them."""


def choose_ranker_targets(corpus: Corpus, holdout: Holdout, seed: int) -> RankerTargets:
    """Choose the last tenth of each shopper's training moments, one at least and `MAX_TARGETS_PER_SHOPPER` at most.

    Where that is more than `MAX_RANKER_TARGETS`, or more than `MAX_HELD_OUT_SHARE` of the events, shoppers are drawn.
    Moments that nothing came before are no targets.
    """
    random = np.random.default_rng(seed)
    events = np.flatnonzero(holdout.train & (corpus.event_item != NO_ITEM) & corpus.has_context)
    moments, first, sizes = np.unique(corpus.context_end[events], return_index=True, return_counts=True)
    _, begins, counts = np.unique(corpus.event_shopper[moments], return_index=True, return_counts=True)
    wanted = np.clip((RANKER_SHARE * counts).astype(np.int64), 1, MAX_TARGETS_PER_SHOPPER)
    chosen = [
        np.arange(begin + count - last, begin + count)
        for begin, count, last in zip(begins.tolist(), counts.tolist(), wanted.tolist(), strict=True)
    ]
    given_up = np.array([sizes[places].sum() for places in chosen])
    order = random.permutation(len(chosen))
    fits = (np.cumsum(wanted[order]) <= MAX_RANKER_TARGETS) & (
        np.cumsum(given_up[order]) <= max(MAX_HELD_OUT_SHARE * len(events), given_up[order[:1]].sum())
    )
    places = np.sort(np.concatenate([first[:0], *(chosen[each] for each in order[fits])]))
    held_out = events[np.isin(corpus.context_end[events], moments[places])]
    return RankerTargets(_draw_one_event(corpus, held_out, random), held_out)


def _draw_one_event(corpus: Corpus, events: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Draw one event of each moment."""
    shuffled = random.permutation(events)
    _, first = np.unique(corpus.context_end[shuffled], return_index=True)
    return np.sort(shuffled[first])


def list_moment_items(corpus: Corpus, target: int) -> NDArray[np.int64]:
    """Rows of the items that were acted on in a target's moment, each once."""
    start = int(corpus.context_end[target])
    end = int(np.searchsorted(corpus.context_end, start, side="right"))
    items = corpus.event_item[start:end]
    return np.unique(items[items != NO_ITEM])
