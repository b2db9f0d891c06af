"""Tuned baselines beside a model: ranks of the same targets, their metrics, and paired differences."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training.baselines.protocol import Settings, Task
from portrait.training.baselines.registry import list_suitable
from portrait.training.metrics import CUTOFFS, RANKING_METRICS, bootstrap_intervals

MAX_TUNING_TARGETS, MAX_TUNING_SCORES = 3_000, 50_000_000
"""Settings are chosen on so many validation targets at most, and so many scores of items for them."""
COMPARED_METRICS = ("NDCG@10", "HR@10")
"""Metrics whose paired differences are reported."""
DIFFERENCE = "portrait_minus_this"
"""Key of the paired difference in a metric of a baseline."""
_METRICS = {
    f"{name}@{cutoff}": partial(measure, k=cutoff) for name, measure in RANKING_METRICS.items() for cutoff in CUTOFFS
}


@dataclass(frozen=True)
class BaselineRanks:
    """Baselines as they were tuned, and what they rank."""

    settings: dict[str, Settings]
    """Settings of each baseline, as validation chose them."""
    ranks: dict[str, NDArray[np.int64]]
    """`[targets]` of each baseline: 0-based rank of each target."""


def draw_targets(targets: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Draw some targets, ascending; all where there are no more than `count`."""
    if len(targets) <= count:
        return targets
    return np.sort(np.random.default_rng(seed).choice(targets, count, replace=False))


def tune_baselines(task: Task, seed: int) -> dict[str, Settings]:
    """Tune every suitable baseline on validation targets, each to its best NDCG@10.

    Args:
        task: a data set whose hold-out keeps the validation events from training.
        seed: draws the targets where there are too many.
    """
    count = max(1, min(MAX_TUNING_TARGETS, MAX_TUNING_SCORES // len(task.corpus.items)))
    targets = draw_targets(task.holdout.validation, count, seed)
    return {baseline.name: baseline.tune(task, targets) for baseline in list_suitable(task)}


def require_settings(task: Task, settings: Any) -> dict[str, Settings] | None:
    """Return settings that were read from a file, if they are those of the baselines of today; else None."""
    expected = {baseline.name: set(baseline.grid) for baseline in list_suitable(task)}
    found = {name: set(chosen) for name, chosen in settings.items()} if isinstance(settings, dict) else None
    return settings if found == expected else None


def rank_with_baselines(task: Task, settings: dict[str, Settings], targets: NDArray[np.int64]) -> BaselineRanks:
    """Fit the baselines with given settings, and find the rank of each target by each of them.

    Args:
        task: the data set; its training events are what is fitted to.
        settings: as `tune_baselines` chose them.
        targets: events to predict.
    """
    ranks = {
        baseline.name: task.find_ranks(baseline.make_scorer(task, settings[baseline.name]), targets)
        for baseline in list_suitable(task)
    }
    return BaselineRanks(settings, ranks)


def measure_rankings(ours: NDArray[np.int64], baselines: BaselineRanks) -> dict[str, dict[str, Any]]:
    """Measure Portrait and the baselines on the same targets.

    Args:
        ours: `[targets]`, ranks by Portrait, `MISSED` where it does not rank the target.
        baselines: ranks of the same targets.

    Returns:
        Model → metric → `value`, `interval`, and for some metrics of a baseline the paired `portrait_minus_this`.
    """
    columns: dict[tuple[str, ...], NDArray[np.float64]] = {}
    for model, ranks in {"portrait": ours, **baselines.ranks}.items():
        columns |= {(model, metric): measure(ranks) for metric, measure in _METRICS.items()}
    for model in baselines.ranks:
        for metric in COMPARED_METRICS:
            columns[model, metric, DIFFERENCE] = columns["portrait", metric] - columns[model, metric]
    values = np.stack(list(columns.values()), axis=1)
    measured: dict[str, dict[str, Any]] = {}
    for (model, metric, *difference), mean, interval in zip(
        columns, values.mean(0).tolist(), bootstrap_intervals(values), strict=True
    ):
        if difference:
            measured[model][metric][DIFFERENCE] = {"difference": mean, "interval": interval}
        else:
            measured.setdefault(model, {})[metric] = {"value": mean, "interval": interval}
    return measured


def format_difference(paired: dict[str, Any]) -> str:
    """Format a paired difference of `measure_rankings` with its interval."""
    low, high = paired["interval"]
    return f"{paired['difference']:+.4f} ({low:+.4f} to {high:+.4f})"


def find_strongest(ranking: dict[str, dict[str, Any]], metric: str = "NDCG@10") -> str:
    """Find the baseline with the highest value of a metric in what `measure_rankings` returned."""
    return max((name for name in ranking if name != "portrait"), key=lambda name: ranking[name][metric]["value"])


def find_strongest_not_beaten(ranking: dict[str, dict[str, Any]]) -> str | None:
    """Find the strongest baseline whose paired interval of NDCG@10 does not lie above 0; None if Portrait beats all."""
    rows = {name: models["NDCG@10"] for name, models in ranking.items() if name != "portrait"}
    rivals = [name for name, row in rows.items() if row[DIFFERENCE]["interval"][0] <= 0.0]
    return max(rivals, key=lambda name: rows[name]["value"], default=None)
