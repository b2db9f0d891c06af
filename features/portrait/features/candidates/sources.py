"""Sources of candidates: how many items each of them gives to the ranker."""

from portrait.features.candidates.relations import ASSOCIATION, TITLE, TRANSITION, TWO_HOPS

NEAREST_CANDIDATES = 150
"""Items nearest to the profile, and as many nearest to the query; more where more are asked for."""
COLD_CANDIDATES = 30
"""Nearest items that have no events: among all, those that have some crowd them out."""
RELATED_CANDIDATES = {ASSOCIATION: 100, TRANSITION: 100, TWO_HOPS: 100, TITLE: 40}
"""Items that the latest events lead to, by relation."""
FAMILIAR_CANDIDATES = 100
"""Items that the shopper knows, the most usual first, unless they are left out."""
POPULAR_CANDIDATES = 50
"""Items that are popular of late."""
