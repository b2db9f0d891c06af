"""Slopes of series, with intervals, and the verdict: flat, growing, or not to be told from the run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
NEGLIGIBLE = 0.01
"""Share of its level by which a series may grow in an hour and still count as flat: it would double in four days."""
MAX_UNKNOWN = 0.05
"""The same of the interval's upper end: what could grow by more was not measured well enough."""
MIN_BLOCKS = 6
_HOUR = 3600.0


class Verdict(StrEnum):
    """The verdict of a run on a series."""

    FLAT = "flat"
    GROWING = "growing"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Trend:
    """The trend of a series."""

    level: float
    """Median of all values; not a number if there are none."""
    slope: float
    """By the hour; not a number, as its interval, if there are too few blocks."""
    low: float
    """Lower end of the slope's interval."""
    high: float
    points: tuple[float, ...]
    """Medians of the blocks."""

    def judge(self, allowed: float = 0.0) -> Verdict:
        """Judge the trend.

        Args:
            allowed: growth by the hour that is expected, because data is stored that nothing deletes.
        """
        if math.isnan(self.low):
            return Verdict.UNDECIDED
        if self.low > allowed + NEGLIGIBLE * self.level:
            return Verdict.GROWING
        return Verdict.FLAT if self.high <= allowed + MAX_UNKNOWN * self.level else Verdict.UNDECIDED


def measure_trend(times: Sequence[float], values: Sequence[float], block_seconds: float) -> Trend:
    """Fit a line to the medians of blocks of time.

    Neighbouring blocks resemble each other, so there are fewer independent ones than blocks: the standard error grows
    by the correlation of each residual with the one before.

    Args:
        times: in seconds, ascending.
        values: as many.
        block_seconds: length of a block; what happens once in each, such as a swap, makes no trend.
    """
    middles, medians = _split_blocks(np.asarray(times), np.asarray(values, dtype=np.float64), block_seconds)
    level, points = float(np.median(values)) if len(values) else math.nan, tuple(medians.tolist())
    if len(middles) < MIN_BLOCKS:
        return Trend(level, math.nan, math.nan, math.nan, points)
    if not np.ptp(medians):
        return Trend(level, 0.0, 0.0, 0.0, points)
    fit = stats.linregress(middles / _HOUR, medians)
    residuals = medians - (fit.intercept + fit.slope * middles / _HOUR)
    error = fit.stderr * math.sqrt(_count_dependence(residuals))
    width = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(middles) - 2)) * error
    return Trend(level, float(fit.slope), float(fit.slope) - width, float(fit.slope) + width, points)


def _split_blocks(
    times: NDArray[np.float64], values: NDArray[np.float64], block_seconds: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle time and the median of each block that is whole."""
    if not len(times):
        return times, values
    numbers = ((times - times[0]) // block_seconds).astype(np.int64)
    whole = range(int((times[-1] - times[0]) / block_seconds))
    blocks = [np.flatnonzero(numbers == number) for number in whole]
    filled = [block for block in blocks if len(block)]
    return (
        np.array([times[block].mean() for block in filled]),
        np.array([np.median(values[block]) for block in filled]),
    )


def _count_dependence(residuals: NDArray[np.float64]) -> float:
    """Count how many blocks stand for one independent one, by the correlation of neighbours."""
    total = float(residuals @ residuals)
    if total < np.finfo(np.float64).tiny:
        return 1.0
    correlation = min(0.95, max(0.0, float(residuals[1:] @ residuals[:-1]) / total))
    return (1 + correlation) / (1 - correlation)
