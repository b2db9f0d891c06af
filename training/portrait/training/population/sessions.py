"""The pause that ends a session."""

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.dataset.corpus import Corpus

MIN_MINUTES, MAX_MINUTES = 10.0, 720.0
_MAX_GAPS = 200_000
_MIN_SHORT_SHARE = 0.01
_STEPS = 100


def times_are_days(corpus: Corpus) -> bool:
    """Tell whether every time is a midnight, so that the log has days only."""
    time = corpus.columns.time
    known = time[~np.isnan(time)]
    return bool(len(known)) and not (known % SECONDS_PER_DAY).any()


def estimate_session_gap(corpus: Corpus, train: NDArray[np.bool_], seed: int) -> float | None:
    """Minutes after which a pause is likelier to lie between sessions than within one; None without times.

    Logarithms of the pauses are two bell curves, of clicks and of visits (Halfaker et al. 2015, "User Session
    Identification Based on Strong Regularities in Inter-activity Time"); the gap is where they cross. In a log with
    hardly any pause below an hour, a session is what happened within half a day.
    """
    time = corpus.columns.time
    follows = corpus.event_shopper[1:] == corpus.event_shopper[:-1]
    gaps = (time[1:] - time[:-1])[follows & train[1:] & train[:-1]]
    gaps = gaps[gaps > 0.0]  # NaN is not
    if not len(gaps):
        return None if np.isnan(time).all() else MAX_MINUTES
    if len(gaps) > _MAX_GAPS:
        gaps = np.random.default_rng(seed).choice(gaps, _MAX_GAPS, replace=False)
    if np.mean(gaps < 3600.0) < _MIN_SHORT_SHARE:
        return MAX_MINUTES
    return float(np.clip(np.exp(_find_crossing(np.log(gaps / 60.0))), MIN_MINUTES, MAX_MINUTES))


def _find_crossing(logs: NDArray[np.float64]) -> float:
    """Find the value at which two normal components, fitted by expectation maximisation, are equally likely."""
    mean, deviation, share = np.log(np.array([2.0, 1440.0])), np.array([1.0, 1.0]), np.array([0.5, 0.5])

    def posterior(values: NDArray[np.float64]) -> NDArray[np.float64]:
        density = share * np.exp(-0.5 * ((values[:, None] - mean) / deviation) ** 2) / deviation
        return density / np.maximum(density.sum(1, keepdims=True), 1e-300)

    for _ in range(_STEPS):
        part = posterior(logs)
        total = np.maximum(part.sum(0), 1e-9)
        mean = part.T @ logs / total
        deviation = np.maximum(np.sqrt((part * (logs[:, None] - mean) ** 2).sum(0) / total), 0.1)
        share = total / len(logs)
    between = np.linspace(mean.min(), mean.max(), 200)
    visits = posterior(between)[:, int(mean.argmax())]
    return float(between[min(int(np.searchsorted(visits >= 0.5, True)), len(between) - 1)])
