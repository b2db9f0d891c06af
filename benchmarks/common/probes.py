"""Probes: accuracy of classifiers for declared demographics, by cross-validation over shoppers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from portrait.training.metrics import bootstrap_interval

FOLDS, SEED = 5, 0
_STRENGTHS = (0.001, 0.01, 0.1, 1.0)

Probe = Callable[[], Any]
"""A function that makes an untrained classifier."""


def make_majority() -> Any:
    """Make a classifier that predicts the most frequent value."""
    return DummyClassifier(strategy="prior")


def make_tfidf() -> Any:
    """Make a logistic regression over the TF-IDF of a shopper's items."""
    return make_pipeline(TfidfVectorizer(analyzer=list), LogisticRegression(max_iter=2000))


def make_linear() -> Any:
    """Make a logistic regression over profiles; its regularisation is chosen inside the training folds."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return GridSearchCV(model, {"logisticregression__C": _STRENGTHS}, cv=3, scoring="neg_log_loss")


def make_boosting() -> Any:
    """Make gradient-boosted trees over profiles."""
    return HistGradientBoostingClassifier(max_iter=100, learning_rate=0.05, max_leaf_nodes=8, random_state=SEED)


def make_kernel() -> Any:
    """Make a support vector machine with a radial kernel over profiles."""
    return make_pipeline(StandardScaler(), SVC(probability=False, random_state=SEED))


def measure_probe(
    probe: Probe, features: Sequence[Any] | NDArray[np.float32], values: NDArray[np.int64]
) -> dict[str, Any]:
    """Measure accuracy with its 95% bootstrap interval, and the mean AUC of one value against the rest.

    Args:
        probe: makes the classifier.
        features: of each shopper.
        values: `[shoppers]`, number of the value that each declared.
    """
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    model = probe()
    method = "predict_proba" if hasattr(model, "predict_proba") else "decision_function"
    scores = cross_val_predict(model, features, values, cv=folds, method=method)
    known = np.unique(values)
    if scores.ndim == 1:
        scores = np.stack([-scores, scores], 1)
    right = (known[scores.argmax(1)] == values).astype(np.float64)
    areas = [roc_auc_score(values == value, scores[:, place]) for place, value in enumerate(known)]
    return {
        "shoppers": len(values),
        "accuracy": float(right.mean()),
        "interval": bootstrap_interval(right),
        "auc": float(np.mean(areas)),
    }
