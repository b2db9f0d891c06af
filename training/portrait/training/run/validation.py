"""Comparison of a new run with the tuned baselines, on validation targets alone."""

import json
import logging
from pathlib import Path
from typing import Any

from portrait.features.files.atomic_write import atomic_write
from portrait.training.baselines import comparison
from portrait.training.baselines.comparison import DIFFERENCE
from portrait.training.dataset.corpus import Corpus
from portrait.training.errors import to_one_line
from portrait.training.run import evaluation
from portrait.training.run.folder import TRAIN_ONLY_FOLDER
from portrait.training.run.kept_baselines import rank_validation
from portrait.training.run.run import VALIDATION_FILE, TrainedRun, load_run
from portrait.training.run.stages import show_stage

_log = logging.getLogger(__name__)


def warn_below_baselines(folder: Path, corpus: Corpus | None = None) -> None:
    """Compare a run that has ended with the baselines, and log a warning where it is not above one of them.

    A refit has learnt from the validation events: its train-only run stands for it. A run that was compared before is
    left as it is, and a comparison that fails is logged: the trained model is as good as without it.

    Args:
        folder: the run's.
        corpus: the events of its data set, if they are in memory.
    """
    train_only = folder / TRAIN_ONLY_FOLDER
    compared = train_only if train_only.exists() else folder
    if (compared / VALIDATION_FILE).exists():
        return
    try:
        with show_stage("comparing with baselines"):
            measured = compare_on_validation(load_run(compared, corpus=corpus))
        with atomic_write(compared / VALIDATION_FILE) as temporary:
            temporary.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    except Exception as error:
        _log.warning("warning: the run could not be compared with baselines on validation: %s", to_one_line(error))
        return
    if warning := describe_shortfall(measured["ranking"]):
        _log.warning("warning: %s", warning)


def compare_on_validation(trained: TrainedRun) -> dict[str, Any]:
    """Measure a train-only run and the tuned baselines on the same validation targets.

    Both were chosen on validation: the run by its epochs, each baseline by its settings.
    """
    targets, baselines = rank_validation(trained.folder, trained.corpus, trained.holdout, trained.settings.seed)
    ranked = evaluation.rank_targets(trained, trained.corpus, targets)
    ours = evaluation.find_portrait_ranks(trained, ranked)
    return {
        "split": trained.settings.split.value,
        "shoppers": len(ours),
        "ranking": comparison.measure_rankings(ours, baselines),
    }


def describe_shortfall(ranking: dict[str, dict[str, Any]]) -> str | None:
    """Describe the strongest baseline that Portrait is not above; None if it is above all.

    Args:
        ranking: as `measure_rankings` returns it.
    """
    name = comparison.find_strongest_not_beaten(ranking)
    if name is None:
        return None
    ours, theirs = ranking["portrait"]["NDCG@10"], ranking[name]["NDCG@10"]
    return (
        f"on validation Portrait is not above the baseline {name!r}: NDCG@10 {ours['value']:.4f} against "
        f"{theirs['value']:.4f}, a paired difference of {comparison.format_difference(theirs[DIFFERENCE])}"
    )
