"""Worth of the BERT to a run: for all shoppers, and for those of whom little is known."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.ranking import portrait_ranks as portrait
from benchmarks.common.ranking import tables as ranking
from portrait.training.baselines.contexts import ItemEvents
from portrait.training.dataset.corpus import Corpus
from portrait.training.run.run import load_run

FEW_EVENTS = 4
"""Shoppers with so many events of items before the target, or fewer, are sparse."""


def measure_worth(run: Path, without: Path, corpus: Corpus) -> dict[str, Any]:
    """Compare a run with one whose base model tells nothing, over the same test targets.

    Args:
        run: the run.
        without: the run without the BERT.
        corpus: the events of both.

    Returns:
        Group of shoppers → their number, and the paired differences of `compare_paired`.
    """
    trained = load_run(run, corpus=corpus)
    targets = trained.holdout.test
    ours = portrait.rank_targets(trained)
    theirs = portrait.rank_targets(load_run(without, corpus=corpus))
    before = np.bincount(ItemEvents(corpus).read_contexts(targets).row, minlength=len(targets))
    groups = {"all shoppers": before >= 0, "sparse shoppers": before <= FEW_EVENTS}
    return {
        name: {"shoppers": int(chosen.sum()), **ranking.compare_paired(ours[chosen], theirs[chosen])}
        for name, chosen in groups.items()
        if chosen.any()
    }
