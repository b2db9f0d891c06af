"""Draws from Zipf's law over many ranks: rank k is drawn in proportion to k ** -exponent."""

import numpy as np
from numpy.typing import NDArray

_HEAD = 1_000_000
"""Ranks whose chances are exact. Beyond, a rank's chance is the integral over it, off by 1e-12 of it at most."""


class Zipf:
    """A Zipf law over the ranks 0 to size - 1.

    Args:
        size: number of ranks.
        exponent: 0 draws all ranks alike; above, low ranks more often.
        head: ranks whose chances are summed one by one.
    """

    def __init__(self, size: int, exponent: float, head: int = _HEAD) -> None:
        self._size, self._exponent = size, exponent
        self._first = min(size, head)
        self._sums = np.cumsum(np.arange(1, self._first + 1, dtype=np.float64) ** -exponent)
        self._total = float(self._sums[-1]) + self._integrate(float(size)) - self._integrate(float(self._first))

    @property
    def top_share(self) -> float:
        """Chance of the first rank."""
        return 1.0 / self._total

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw ranks.

        Returns:
            `[count]`.
        """
        mass = rng.random(count) * self._total
        ranks = np.searchsorted(self._sums, mass, side="right")
        tail = ranks >= self._first
        beyond = mass[tail] - self._sums[-1] + self._integrate(float(self._first))
        ranks[tail] = np.clip(np.ceil(self._invert(beyond)) - 1, self._first, self._size - 1)
        return ranks

    def _integrate(self, rank: float) -> float:
        """Integrate the law from half to `rank` and a half, up to a constant."""
        edge = rank + 0.5
        return float(np.log(edge)) if self._exponent == 1.0 else edge ** (1.0 - self._exponent) / (1.0 - self._exponent)

    def _invert(self, mass: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._exponent == 1.0:
            return np.exp(mass) - 0.5
        return (mass * (1.0 - self._exponent)) ** (1.0 / (1.0 - self._exponent)) - 0.5
