"""Ranking and probability metrics, each over one row a shopper so that intervals can be drawn from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MISSED = -1
"""Rank of a target that was not ranked at all."""


def ndcg(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain of one relevant item: `1 / log2(rank + 2)` within the first k.

    Args:
        ranks: `[shoppers]`, 0-based rank of the target, `MISSED` if it was not ranked.
        k: cut-off.
    """
    found = (ranks >= 0) & (ranks < k)
    return np.where(found, 1.0 / np.log2(np.maximum(ranks, 0) + 2.0), 0.0)


def hit_rate(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """1 where the target stands within the first k."""
    return ((ranks >= 0) & (ranks < k)).astype(np.float64)


def reciprocal_rank(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """`1 / (rank + 1)` within the first k."""
    found = (ranks >= 0) & (ranks < k)
    return np.where(found, 1.0 / (np.maximum(ranks, 0) + 1.0), 0.0)


CUTOFFS = (5, 10, 20)
RANKING_METRICS = {"NDCG": ndcg, "HR": hit_rate, "MRR": reciprocal_rank}
"""The metrics of ranks that are reported, each at every cut-off."""


def bootstrap_interval(values: NDArray[np.float64], seed: int = 0, draws: int = 1000) -> tuple[float, float]:
    """95% bootstrap interval of a mean, by the percentile method (Efron 1979)."""
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def bootstrap_intervals(values: NDArray[np.float64], seed: int = 0, draws: int = 1000) -> list[tuple[float, float]]:
    """95% bootstrap intervals of the mean of each column, all by the same draws of rows; see `bootstrap_interval`."""
    random = np.random.default_rng(seed)
    rows = len(values)
    means = [np.bincount(random.integers(0, rows, rows), minlength=rows) @ values / rows for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def bootstrap_difference_interval(
    ours: NDArray[np.float64], others: NDArray[np.float64], seed: int = 0, draws: int = 1000
) -> tuple[float, float]:
    """95% bootstrap interval of the mean of one group minus that of another one, drawn independently."""
    random = np.random.default_rng(seed)

    def mean(values: NDArray[np.float64]) -> float:
        return float(values[random.integers(0, len(values), len(values))].mean())

    low, high = np.quantile([mean(ours) - mean(others) for _ in range(draws)], [0.025, 0.975])
    return float(low), float(high)


def auc(scores: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    """Weighted area under the ROC curve; ties count half. NaN without both labels."""
    order = np.argsort(scores, kind="stable")
    scores, labels, weights = scores[order], labels[order], weights[order]
    _, group = np.unique(scores, return_inverse=True)
    positive = np.bincount(group, weights * labels)
    negative = np.bincount(group, weights * ~labels)
    if not positive.sum() or not negative.sum():
        return float("nan")
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def log_loss(chances: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    """Weighted mean of `-log p(label)`, in nats."""
    clipped = np.clip(chances, 1e-12, 1.0 - 1e-12)
    return float(-(weights * np.where(labels, np.log(clipped), np.log1p(-clipped))).sum() / weights.sum())


@dataclass(frozen=True)
class ReliabilityBin:
    """Expected and observed positives of similar probabilities."""

    weight: float
    """Sum of the weights."""
    expected: float
    """Expected positives: the weighted sum of the probabilities."""
    observed: float
    """Observed positives, weighted."""


def reliability_bins(
    chances: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64], bins: int = 10
) -> list[ReliabilityBin]:
    """Bin ascending probabilities so that each bin expects the same number of positives; empty bins are left out.

    Probabilities of a next item are small: bins of equal width or equal size would hold nothing but the smallest.
    """
    order = np.argsort(chances, kind="stable")
    chances, labels, weights = chances[order], labels[order], weights[order]
    mass = np.cumsum(chances * weights)
    bin_of = np.minimum((mass / mass[-1] * bins).astype(np.int64), bins - 1)
    sums = [np.bincount(bin_of, values, minlength=bins) for values in (weights, chances * weights, labels * weights)]
    return [ReliabilityBin(*row) for row in np.stack(sums, axis=1).tolist() if row[0] > 0]


def calibration_error(
    chances: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64], bins: int = 10
) -> float:
    """Expected calibration error over the bins of `reliability_bins` (Naeini et al. 2015).

    Probabilities of a next item are small: the error is relative to the mean probability, so that 0.1 says that
    chances are off by a tenth of their size on average.
    """
    rows = reliability_bins(chances, labels, weights, bins)
    return sum(abs(row.expected - row.observed) for row in rows) / sum(row.expected for row in rows)


def calibration_error_by_chance(
    chances: NDArray[np.float64], weights: NDArray[np.float64], bins: int = 10, seed: int = 0, draws: int = 100
) -> float:
    """Mean `calibration_error` of labels that are drawn with just these chances.

    Chance alone moves the observed positives of a bin: a calibration error that is no larger than this one tells
    nothing against the chances (Kumar et al. 2019, "Verified Uncertainty Calibration").
    """
    random = np.random.default_rng(seed)
    drawn = (random.random(len(chances)) < chances for _ in range(draws))
    return float(np.mean([calibration_error(chances, labels, weights, bins) for labels in drawn]))


def cumulative_gain(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of the positives among the best-scored `shares` of all; equal scores are taken in equal parts.

    Divided by `shares` it is the lift over an order at random.

    Args:
        scores: `[pairs]`.
        labels: `[pairs]`, at least one of them true.
        weights: `[pairs]`.
        shares: 0 to 1, of the weight.
    """
    levels, group = np.unique(-scores, return_inverse=True)
    reached = np.cumsum(np.bincount(group, weights, minlength=len(levels)))
    found = np.cumsum(np.bincount(group, weights * labels, minlength=len(levels)))
    gained: NDArray[np.float64] = np.interp(
        shares, np.append(0.0, reached / reached[-1]), np.append(0.0, found / found[-1])
    )
    return gained
