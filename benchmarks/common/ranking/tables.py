"""Metrics of ranks with their intervals, and the tables that compare models."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training.metrics import CUTOFFS, RANKING_METRICS, bootstrap_interval

PORTRAIT = "Portrait"
_COLUMNS = (
    "model", "NDCG@5", "NDCG@10", "95% interval", "HR@10", "95% interval", "MRR@20", "Portrait's NDCG@10 minus this",
)  # fmt: skip


def compute_metrics(ranks: NDArray[np.int64]) -> dict[str, Any]:
    """Compute every metric at every cutoff with its 95% bootstrap interval."""
    rows = {}
    for name, measure in RANKING_METRICS.items():
        for cut in CUTOFFS:
            values = measure(ranks, cut)
            rows[f"{name}@{cut}"] = {"value": float(values.mean()), "interval": bootstrap_interval(values)}
    return rows


def describe_model(settings: dict[str, Any], ranks: NDArray[np.int64]) -> dict[str, Any]:
    """Describe a model for the results: its settings, its ranks, and every metric of them."""
    return {"settings": settings, "ranks": ranks, "measures": compute_metrics(ranks)}


def compare_paired(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> dict[str, Any]:
    """Compute the differences of NDCG@10 and HR@10 over the same shoppers, with paired 95% bootstrap intervals."""
    rows = {}
    for name in ("NDCG", "HR"):
        mine, other = RANKING_METRICS[name](ours, 10), RANKING_METRICS[name](theirs, 10)
        rows[f"{name}@10"] = {
            "difference": float((mine - other).mean()),
            "interval": bootstrap_interval(mine - other),
            "relative": float(mine.mean() / other.mean() - 1.0) if other.any() else None,
        }
    return rows


def format_ranking(models: dict[str, dict[str, Any]]) -> list[str]:
    """Format a table with a row for each model, of its `measures` and, for other models, `portrait_minus_this`."""
    head = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    return head + [_format_row(name, model) for name, model in models.items()]


def _format_row(name: str, model: dict[str, Any]) -> str:
    values = model["measures"]
    cells = [name, f"{values['NDCG@5']['value']:.4f}"]
    for key in ("NDCG@10", "HR@10"):
        low, high = values[key]["interval"]
        cells += [f"{values[key]['value']:.4f}", f"{low:.4f} to {high:.4f}"]
    cells.append(f"{values['MRR@20']['value']:.4f}")
    if paired := model.get("portrait_minus_this"):
        low, high = paired["NDCG@10"]["interval"]
        relative = paired["NDCG@10"]["relative"]
        share = "" if relative is None else f", {relative:+.0%}"
        cells.append(f"{paired['NDCG@10']['difference']:+.4f} ({low:+.4f} to {high:+.4f}){share}")
    else:
        cells.append("")
    return "| " + " | ".join(cells) + " |"
