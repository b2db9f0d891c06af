"""The sanity check: a randomised model is explained differently.

Adebayo et al. 2018 compare explanations of a trained and a randomised model by rank correlation. Beside that stands how
far two models agree that were trained alike with different seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from benchmarks.explanations.cases import Case
from portrait.features.events import Item
from portrait.server.engine import Engine
from portrait.server.explanation.counterfactuals import RankingExplanation, explain_recommendation
from portrait.server.recommendation.ranking import RankRequest

CITED_EVENTS = 3
"""Number of cited events that are compared as a set."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of two explanations of one item for one shopper."""

    events: float
    """Spearman's rank correlation of the events' effects; 0 if one tells no event from another."""
    cited: float
    """Share of the `CITED_EVENTS` events that both cite."""
    by_chance: float
    """Expectation of the same share for random events."""
    words: float | None
    """Rank correlation of the words' effects; None for a title with fewer than three words."""


async def explain_item(engine: Engine, case: Case, item: Item) -> RankingExplanation:
    """Explain the score of an item."""
    return await explain_recommendation(engine, RankRequest(case.history, case.as_of), item, deadline=None)


def measure_agreement(one: RankingExplanation, other: RankingExplanation) -> Agreement:
    """Measure the agreement of two explanations of one item for one shopper."""
    ids = [each.event.event_id for each in one.events]
    effects = {each.event.event_id: each.effect for each in other.events}
    cited = {each.event.event_id for each in other.events[:CITED_EVENTS]}
    words, of_other = [each.word for each in one.words], {each.word: each.effect for each in other.words}
    return Agreement(
        events=_correlate([each.effect for each in one.events], [effects[event_id] for event_id in ids]),
        cited=len(cited & set(ids[:CITED_EVENTS])) / CITED_EVENTS,
        by_chance=CITED_EVENTS / len(ids),
        words=_correlate([each.effect for each in one.words], [of_other[word] for word in words])
        if len(words) >= CITED_EVENTS
        else None,
    )


def _correlate(one: Sequence[float], other: Sequence[float]) -> float:
    if np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        return 0.0
    return float(spearmanr(one, other).statistic)
