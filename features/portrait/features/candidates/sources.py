"""Sources of candidates: how many items each of them gives to the ranker.

Together they give at most 512, with a query or without one.
"""

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.history_summary import COUNTS, GroupCounts
from portrait.features.candidates.item_statistics import POPULARITY, RECENT_POPULARITY
from portrait.features.candidates.relations import ASSOCIATION, TITLE, TRANSITION, TWO_HOPS

NEAREST_CANDIDATES = 110
"""Items nearest to the profile, and as many nearest to the query; more where more are asked for."""
COLD_CANDIDATES = 20
"""Nearest items that have no events: among all, those that have some crowd them out."""
WORD_CANDIDATES = 60
"""Items that hold a query's words, the best described first; more where more are asked for."""
RELATED_CANDIDATES = {ASSOCIATION: 80, TRANSITION: 80, TWO_HOPS: 80, TITLE: 40}
"""Items that the latest events lead to, by relation."""
RELATED_CANDIDATES_OF_SEARCH = {ASSOCIATION: 30, TRANSITION: 20, TWO_HOPS: 20, TITLE: 20}
"""The same where there is a query, which decides first."""
FAMILIAR_CANDIDATES = 70
"""Items that the shopper knows, the most usual first, unless they are left out."""
POPULAR_CANDIDATES = 32
"""Items that are popular of late."""

_HABIT = COUNTS.index("moment_habit_0.95")


def order_by_habit(items: GroupCounts) -> NDArray[np.int64]:
    """List the numbers of a history's items, the most usual first; equally usual ones in the order of their coming."""
    return items.numbers[np.lexsort((items.first, -items.counts[:-1, _HABIT]))]


def order_by_popularity(statistics: NDArray[np.float32]) -> NDArray[np.int64]:
    """`[items]`: the rows of some statistics, the most popular of late first; equal ones by all events, then by row."""
    return np.lexsort((-statistics[:, POPULARITY], -statistics[:, RECENT_POPULARITY]))
