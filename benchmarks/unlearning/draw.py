"""Measurements of a draw: the attack on its runs, their quality, and the time that they took."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.ranking.portrait_ranks import rank_targets
from benchmarks.common.ranking.tables import compare_paired, compute_metrics
from benchmarks.unlearning.attack import Attacked, Scored
from benchmarks.unlearning.runs import BEFORE, REFERENCE, RETRAINED, UNLEARNT, DrawnRuns
from benchmarks.unlearning.sets import ShopperSets
from portrait.training import checkpoints
from portrait.training.dataset.corpus import Corpus
from portrait.training.run import run as runs
from portrait.training.run.kept_baselines import rank_validation
from portrait.training.run.run import TrainedRun

ScoredRuns = dict[str, dict[str, Scored]]
"""By name of the run and signal."""


def attack(everybody: Corpus, sets: ShopperSets, drawn: DrawnRuns) -> dict[int, ScoredRuns]:
    """Attack the runs of every set, by percentage.

    Args:
        everybody: events of all shoppers.
        sets: who is forgotten, and whom no model has seen.
        drawn: the runs.
    """
    shoppers = np.concatenate([sets.unseen, sets.forgotten[sets.largest]])
    attacked = Attacked.choose(everybody, drawn.before, shoppers)
    before, reference = attacked.measure(drawn.before), attacked.measure(drawn.reference)
    retrained = {percent: attacked.measure(run) for percent, run in drawn.retrained.items()}
    found = {}
    for percent, forgotten in sets.forgotten.items():
        # The retrained run of the largest set is a second reference, except of itself.
        references = [reference, retrained[sets.largest]]
        measured = {
            BEFORE: (before, references),
            UNLEARNT: (attacked.measure(drawn.unlearnt[percent]), references),
            RETRAINED: (retrained[percent], references[:1] if percent == sets.largest else references),
        }
        scores = {name: attacked.score(*each) for name, each in measured.items()}
        found[percent] = {
            name: {signal: Scored.choose(values, forgotten, sets.unseen) for signal, values in each.items()}
            for name, each in scores.items()
        }
    return found


def measure_quality_and_time(sets: ShopperSets, drawn: DrawnRuns) -> dict[int, dict[str, Any]]:
    """Measure the quality and the time of unlearning beside those of full retraining, by percentage."""
    comparison = _time_comparison(drawn.retrained[sets.largest])
    found = {}
    for percent, forgotten in sets.forgotten.items():
        compared = {UNLEARNT: drawn.unlearnt[percent]}
        if percent == sets.largest:
            compared[REFERENCE] = drawn.reference
        found[percent] = {
            "forgotten": len(forgotten),
            **_compare(drawn.retrained[percent], compared),
            **_time(drawn.retrained[percent], drawn.unlearnt[percent], comparison),
        }
    return found


def _compare(retrained: TrainedRun, others: dict[str, TrainedRun]) -> dict[str, Any]:
    """Compare the quality of some runs with full retraining, on the same test."""
    theirs = rank_targets(retrained)
    ranks = {RETRAINED: theirs, **{name: rank_targets(run) for name, run in others.items()}}
    return {
        "shoppers": len(theirs),
        "quality": {name: compute_metrics(each)["NDCG@10"] for name, each in ranks.items()},
        "minus_retrained": {name: compare_paired(ranks[name], theirs)["NDCG@10"] for name in others},
    }


def _time(retrained: TrainedRun, unlearnt: TrainedRun, comparison: float) -> dict[str, Any]:
    """Compare the processor time of unlearning, in seconds, with that of full retraining and its comparison."""
    whole = float(checkpoints.load_state(retrained.folder / runs.MODEL_FILE)["processor_seconds"])
    record = unlearnt.unlearning or {}
    return {
        "kept_weights": record["kept_weights"],
        "seconds": {UNLEARNT: record["processor_seconds"], RETRAINED: whole, "baselines": comparison},
        "steps": {UNLEARNT: record["steps"], BEFORE: record["steps_of_training"]},
    }


def _time_comparison(retrained: TrainedRun) -> float:
    """Measure the processor time of a run's comparison with baselines, which unlearning does not make."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        rank_validation(Path(folder), retrained.corpus, retrained.holdout, retrained.settings.seed)
    return time.process_time() - began
