"""Statistics of single items, whoever asks: how popular, how popular of late, how often bought again."""

import numpy as np
from numpy.typing import NDArray

RECENT_HALF_LIVES_DAYS = (3.0, 14.0, 60.0)
"""Days after which an event counts half in the popularity of late."""
ITEM_STATISTICS = (
    "popularity", *(f"popularity_{days:g}d" for days in RECENT_HALF_LIVES_DAYS), "repeat_share", "repeat_days",
)  # fmt: skip
"""`popularity`: 0 to 1, as `scale_popularity` gives it; `popularity_<days>d`: the share of all events, decayed by that
half-life, times the number of items, as `log(1 + …)`, 0 without times; `repeat_share`: of the shoppers who acted on
the item, those who did at a second moment; `repeat_days`: `log(1 + …)` of the median days between such moments, 0
if unknown."""


POPULARITY, RECENT_POPULARITY = ITEM_STATISTICS.index("popularity"), ITEM_STATISTICS.index("popularity_14d")
"""Columns of these statistics."""


def scale_popularity(counts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Counts of interactions, `[items]`, on a logarithmic scale: 0 for none, 1 for the most."""
    most = float(counts.max(initial=0.0))
    return (np.log1p(counts) / np.log1p(most) if most else np.zeros_like(counts)).astype(np.float32)


def scale_recent_popularity(
    decayed: NDArray[np.float64], total: NDArray[np.float64], items: int
) -> NDArray[np.float32]:
    """Scale decayed counts, `[…, half-lives]`, to `log(1 + share * items)`; 0 without any.

    Args:
        decayed: counts of some items.
        total: `[half-lives]`, sums over all items.
        items: number of all items.
    """
    share = np.divide(decayed, total, out=np.zeros_like(decayed), where=total > 0)
    return np.log1p(share * items).astype(np.float32)
