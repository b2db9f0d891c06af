"""The distribution of a trait's probabilities, and how far another one has moved from it."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BINS = 10
_NORMAL_95 = 1.6449
"""The 95% point of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class ProbabilityDistribution:
    """Numbers of probabilities in bins that hold about a tenth each."""

    edges: tuple[float, ...]
    """Between the bins, ascending, at least one; a probability that equals one is in the bin above."""
    counts: tuple[int, ...]
    """One more than edges."""

    def __post_init__(self) -> None:
        if not self.edges or not all(low < high for low, high in pairwise((*self.edges, math.inf))):
            raise ValueError("the edges of a distribution do not ascend")
        if len(self.counts) != len(self.edges) + 1 or min(self.counts) < 0 or not sum(self.counts):
            raise ValueError("a distribution does not have a count for each bin")

    @classmethod
    def measure(cls, probabilities: NDArray[np.floating[Any]]) -> "ProbabilityDistribution":
        """Measure probabilities, of which there is at least one; equal ones share a bin, so there may be fewer bins."""
        deciles = np.quantile(probabilities, np.arange(1, _BINS) / _BINS).astype(np.float32)
        edges = tuple(np.unique(deciles).tolist())
        return cls(edges, tuple(_count(edges, probabilities).tolist()))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "ProbabilityDistribution":
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is no distribution.
        """
        return cls(tuple(map(float, content["edges"])), tuple(map(int, content["counts"])))

    def to_json(self) -> dict[str, list[float] | list[int]]:
        """Write the distribution as plain lists."""
        return {"edges": [*self.edges], "counts": [*self.counts]}

    def count(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """`[bins]`: count other probabilities in the same bins."""
        return _count(self.edges, probabilities)

    def compute_stability_index(self, counts: NDArray[np.int64]) -> float:
        """Compute the population stability index of other probabilities (Siddiqi 2006, "Credit Risk Scorecards").

        From 0.1 the distribution has shifted, from 0.25 it is another one. Half a probability is added to each bin, so
        that an empty one has a logarithm.

        Args:
            counts: `[bins]`, of the others.
        """
        here, there = (_to_shares(np.asarray(each, dtype=np.float64)) for each in (counts, self.counts))
        return float(((here - there) * np.log(here / there)).sum())

    def compute_chance_index(self, others: int) -> float:
        """Compute the index that samples of one population exceed by chance in one of twenty cases.

        The index over (1/n + 1/m) has a χ² distribution (Yurdakul 2018, "Statistical Properties of Population
        Stability Index"), whose quantile is approximated as Wilson & Hilferty (1931) do.

        Args:
            others: the number of other probabilities, at least one.
        """
        degrees = len(self.edges)
        spread = 2.0 / (9.0 * degrees)
        quantile = degrees * (1.0 - spread + _NORMAL_95 * math.sqrt(spread)) ** 3
        return quantile * (1.0 / others + 1.0 / sum(self.counts))


def _count(edges: tuple[float, ...], probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    # In single precision, as the graphs compute them: a probability then equals its own edge.
    bins = np.searchsorted(np.array(edges, dtype=np.float32), probabilities.astype(np.float32), side="right")
    return np.bincount(bins, minlength=len(edges) + 1).astype(np.int64)


def _to_shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
