"""Chances held against what came true."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training import metrics

_MAX_STEPS = 50
_BINS = 10


@dataclass(frozen=True)
class Predictions:
    """Chances and what came true, both `[pairs]`."""

    chances: NDArray[np.float64]
    labels: NDArray[np.bool_]


def fit_platt(score: NDArray[np.float64], label: NDArray[np.bool_]) -> tuple[float, float]:
    """Parameters a and b of σ(a + b score), by maximum likelihood (Platt 1999), with Newton's method.

    The slope is pulled towards 1 by a quarter of an observation's weight, so that it exists where nothing came true.
    """
    design = np.stack([np.ones_like(score), score], 1)
    target = label.astype(np.float64)
    parameters, prior, pull = np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1e-3, 0.25])
    for _ in range(_MAX_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ parameters, -30.0, 30.0)))
        gradient = design.T @ (target - chance) - pull * (parameters - prior)
        curvature = (design * (chance * (1.0 - chance))[:, None]).T @ design + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        parameters = parameters + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-8:
            break
    return float(parameters[0]), float(parameters[1])


def summarise_reliability(predictions: Predictions) -> dict[str, Any]:
    """Expected calibration error, AUC, and the points of the reliability curve in bins of equally many pairs."""
    chances, labels = predictions.chances, predictions.labels
    weights = np.ones(len(chances))
    order = np.argsort(chances, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    return {
        "pairs": len(chances),
        "came_true": int(labels.sum()),
        "calibration_error": float(
            sum(len(part) * abs(chances[part].mean() - labels[part].mean()) for part in parts) / max(1, len(chances))
        ),
        "auc": metrics.auc(chances, labels, weights) if 0 < labels.sum() < len(labels) else None,
        "curve": [
            {"chance": float(chances[part].mean()), "rate": float(labels[part].mean()), "pairs": len(part)}
            for part in parts
        ],
    }
