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


@dataclass(frozen=True)
class RankerTargets:
    """Moments that the ranker is to foresee."""

    events: NDArray[np.int64]
    """`[targets]`: one event of each moment, ascending; its item is one of those to foresee."""
    held_out: NDArray[np.int64]
    """All events with an item of these moments, ascending: nothing else learns from them."""


def choose_ranker_targets(corpus: Corpus, holdout: Holdout, seed: int) -> RankerTargets:
    """Choose the last tenth of each shopper's training moments, one at least and `MAX_TARGETS_PER_SHOPPER` at most.

    Where that is more than `MAX_RANKER_TARGETS`, shoppers are drawn. Moments that nothing came before are no targets.
    """
    random = np.random.default_rng(seed)
    events = np.flatnonzero(holdout.train & (corpus.event_item != NO_ITEM) & corpus.has_context)
    moments, first = np.unique(corpus.context_end[events], return_index=True)
    _, begins, counts = np.unique(corpus.event_shopper[moments], return_index=True, return_counts=True)
    wanted = np.clip((RANKER_SHARE * counts).astype(np.int64), 1, MAX_TARGETS_PER_SHOPPER)
    order = random.permutation(len(counts))
    order = order[: np.searchsorted(np.cumsum(wanted[order]), MAX_RANKER_TARGETS, side="right")]
    chosen = [np.arange(begins[each] + counts[each] - wanted[each], begins[each] + counts[each]) for each in order]
    places = np.sort(np.concatenate([first[:0], *chosen]))
    held_out = events[np.isin(corpus.context_end[events], moments[places])]
    drawn = _draw_one_event(corpus, held_out, random)
    return RankerTargets(drawn, held_out)


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
