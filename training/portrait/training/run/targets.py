"""Targets of a run's two stages: events that the encoders and the relations learn from, and those of the ranker."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.training.dataset import sufficiency
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import Holdout, count_pairs
from portrait.training.errors import TrainingError
from portrait.training.ranker.targets import RankerTargets, choose_ranker_targets


@dataclass(frozen=True)
class RunTargets:
    """Targets of the two stages; no event is a target of both."""

    encoders: NDArray[np.int64]
    """Training events with an item but those held out for the ranker, ascending."""
    ranker: RankerTargets


def choose_targets(corpus: Corpus, holdout: Holdout, seed: int) -> RunTargets:
    """Choose the targets of a run.

    Raises:
        TrainingError: there are too few events, or all are of one item.
    """
    ranker = choose_ranker_targets(corpus, holdout, seed)
    chosen = holdout.train & (corpus.event_item != NO_ITEM)
    chosen[ranker.held_out] = False
    if (shoppers := len(corpus.shopper_ids)) < sufficiency.MIN_SHOPPERS:
        raise TrainingError(
            f"too little data: {shoppers} shopper{'s' * (shoppers != 1)}; "
            f"at least {sufficiency.MIN_SHOPPERS} are needed"
        )
    pairs = (int((chosen & corpus.has_context).sum()), len(holdout.validation), len(holdout.test))
    if not sufficiency.is_sufficient(pairs):
        counted = count_pairs(corpus) | {holdout.split: pairs}
        raise TrainingError(sufficiency.describe_shortage(corpus, holdout.split, counted))
    if np.count_nonzero(holdout.item_counts) < 2:
        raise TrainingError(
            "all events that training may learn from are of one item, so there is nothing to choose from; "
            "give a log of more items"
        )
    return RunTargets(np.flatnonzero(chosen), ranker)
