"""Half-lives of attention, and the chances of categories, chosen by the likelihood of held-out events."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.associations import Associations
from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS, SECONDS_PER_DAY
from portrait.features.population.interest_dynamics import (
    InterestDecay,
    compute_event_weights,
    compute_next_event_probability,
    decay_by_age,
)
from portrait.features.population.population import InterestDynamics
from portrait.training.dataset.corpus import Corpus
from portrait.training.population.calibration import Predictions, fit_platt
from portrait.training.population.taxonomy import Taxonomy

HALF_LIFE_DAYS = (0.5, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0)
HALF_LIFE_EVENTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
"""Half-lives that are tried."""
PRIORS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SHORT_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""κ and λ that are tried."""
MAX_TARGETS = 5_000
_MAX_INFERRED = 50
"""Categories of one target that the calibration of inferred ones looks at, the highest first: more are not served."""


@dataclass(frozen=True)
class Contexts:
    """Contexts of some targets as flat arrays: one entry for each event with a category before a target."""

    target_category: NDArray[np.int64]
    """`[targets]`."""
    owner: NDArray[np.int64]
    """`[entries]`: place of the target."""
    category: NDArray[np.int64]
    weight: NDArray[np.float64]
    """Weight of the event at its own time."""
    days: NDArray[np.float64]
    """Age at the target's time, NaN if unknown."""
    later: NDArray[np.float64]
    """Number of later events in the context."""

    @classmethod
    def of(cls, corpus: Corpus, taxonomy: Taxonomy, targets: NDArray[np.int64]) -> "Contexts":
        """The contexts of targets; targets without a category or with nothing before them are left out."""
        targets = targets[
            (taxonomy.of_event[targets] >= 0) & (corpus.context_end[targets] > corpus.shopper_start[targets])
        ]
        end = corpus.context_end[targets]
        begin = np.maximum(corpus.shopper_start[targets], end - MAX_REMEMBERED_EVENTS)
        owner = np.repeat(np.arange(len(targets)), end - begin)
        event = np.arange(len(owner)) - np.repeat(np.cumsum(end - begin) - (end - begin), end - begin) + begin[owner]
        known = taxonomy.of_event[event] >= 0
        later = end[owner] - 1 - event
        owner, event, later = owner[known], event[known], later[known]
        columns = corpus.columns
        return cls(
            target_category=taxonomy.of_event[targets],
            owner=owner,
            category=taxonomy.of_event[event],
            weight=compute_event_weights(columns.type_code[event], columns.rating[event], columns.dwell_seconds[event]),
            days=np.maximum(columns.time[targets][owner] - columns.time[event], 0.0) / SECONDS_PER_DAY,
            later=later.astype(np.float64),
        )

    def masses(self, age: NDArray[np.float64], half_life: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`[targets]` each: evidence for the target's own category, and all evidence."""
        weight = self.weight * decay_by_age(age, half_life)
        same = weight * (self.category == self.target_category[self.owner])
        count = len(self.target_category)
        return _sum_by(self.owner, same, count), _sum_by(self.owner, weight, count)


def _sum_by(place: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`[count]`: the sum of the values at each place."""
    return np.bincount(place, values, minlength=count).astype(np.float64)


def fit_interest_dynamics(
    corpus: Corpus,
    taxonomy: Taxonomy,
    train: NDArray[np.bool_],
    validation: NDArray[np.int64],
    associations: Associations,
    seed: int,
) -> InterestDynamics | None:
    """Estimate from the training events how attention moves, choosing by held-out ones.

    Args:
        corpus: the events.
        taxonomy: their categories.
        train: `[events]`: those whose shares are what is usual.
        validation: events to predict.
        associations: fitted without them.
        seed: of the choice of targets, if there are many.
    """
    targets = sample_targets(validation, seed)
    contexts = Contexts.of(corpus, taxonomy, targets)
    if not len(contexts.target_category):
        return None
    shares = category_shares(corpus, taxonomy, train)
    timed = not np.isnan(contexts.days).any()
    return InterestDynamics(
        by_order=_fit_decay(contexts, contexts.later, HALF_LIFE_EVENTS, shares),
        by_time=_fit_decay(contexts, contexts.days, HALF_LIFE_DAYS, shares) if timed else None,
        population_weights=taxonomy.by_key(shares),
        inferred_calibration=_fit_inferred(corpus, taxonomy, targets, associations),
    )


def category_shares(corpus: Corpus, taxonomy: Taxonomy, train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`[categories]`: share of each in the evidence of the training events."""
    weights = compute_event_weights(corpus.columns.type_code, corpus.columns.rating, corpus.columns.dwell_seconds)
    return taxonomy.shares(np.where(train, weights, 0.0))


def sample_targets(targets: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """At most `MAX_TARGETS` of some targets, ascending."""
    if len(targets) <= MAX_TARGETS:
        return targets
    return np.sort(np.random.default_rng(seed).choice(targets, MAX_TARGETS, replace=False))


def _fit_decay(
    contexts: Contexts, age: NDArray[np.float64], tried: tuple[float, ...], shares: NDArray[np.float64]
) -> InterestDecay:
    """The decay under which the held-out events are likeliest, of all on the grid."""
    masses = {half_life: contexts.masses(age, half_life) for half_life in tried}
    usual = shares[contexts.target_category]

    def log_likelihood(decay: InterestDecay) -> float:
        (short, short_total), (long, long_total) = masses[decay.short], masses[decay.long]
        return float(np.log(compute_next_event_probability(short, short_total, long, long_total, usual, decay)).mean())

    return max(
        (
            InterestDecay(short, long, share, prior)
            for short, long in itertools.combinations(tried, 2)
            for share in SHORT_SHARES
            for prior in PRIORS
        ),
        key=log_likelihood,
    )


def predict_categories(
    corpus: Corpus,
    taxonomy: Taxonomy,
    targets: NDArray[np.int64],
    shares: NDArray[np.float64],
    attention: InterestDynamics,
) -> Predictions:
    """The chance of each category that a target's context holds, and whether the target was of it."""
    contexts = Contexts.of(corpus, taxonomy, targets)
    decay = attention.by_time or attention.by_order
    age = contexts.days if attention.by_time else contexts.later
    pair, inverse = np.unique(contexts.owner * len(taxonomy.paths) + contexts.category, return_inverse=True)
    owner, category = np.divmod(pair, len(taxonomy.paths))
    mass, total = {}, {}
    for half_life in (decay.short, decay.long):
        weight = contexts.weight * decay_by_age(age, half_life)
        mass[half_life] = _sum_by(inverse, weight, len(pair))
        total[half_life] = _sum_by(contexts.owner, weight, len(contexts.target_category))[owner]
    chances = compute_next_event_probability(
        mass[decay.short], total[decay.short], mass[decay.long], total[decay.long], shares[category], decay
    )
    return Predictions(chances, contexts.target_category[owner] == category)


def score_inferred(
    corpus: Corpus, taxonomy: Taxonomy, targets: NDArray[np.int64], associations: Associations
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """`[pairs]` each: associations of categories that a target's context does not hold, and whether it was of one."""
    scores, labels = [], []
    for target in targets[taxonomy.of_event[targets] >= 0].tolist():
        context = slice(corpus.shopper_start[target], corpus.context_end[target])
        associated = associations.score_history(corpus.event_item[context], corpus.columns.time[context])
        category = taxonomy.of_item[associated.rows]
        by_category = np.bincount(
            category[category >= 0], associated.scores[category >= 0], minlength=len(taxonomy.paths)
        )
        met = taxonomy.of_event[context]
        by_category[met[met >= 0]] = 0.0
        best = np.argsort(-by_category, kind="stable")[:_MAX_INFERRED]
        best = best[by_category[best] > 0.0]
        scores.append(by_category[best])
        labels.append(best == taxonomy.of_event[target])
    if not scores:
        return np.zeros(0), np.zeros(0, dtype=bool)
    return np.concatenate(scores), np.concatenate(labels)


def _fit_inferred(
    corpus: Corpus, taxonomy: Taxonomy, targets: NDArray[np.int64], associations: Associations
) -> tuple[float, float] | None:
    scores, labels = score_inferred(corpus, taxonomy, targets, associations)
    return fit_platt(np.log(scores), labels) if labels.any() else None
