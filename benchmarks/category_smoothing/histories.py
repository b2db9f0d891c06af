"""Histories of few events before held-out purchases: evidence by category, and the categories that came next."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.associations import Associations
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.population.interest_dynamics import InterestDecay, compute_event_weights, decay_by_age
from portrait.training.dataset.corpus import Corpus
from portrait.training.population.taxonomy import Taxonomy

GROUPS = {"1–2": (1, 2), "3–5": (3, 5), "6–10": (6, 10), "> 10": (11, None)}
"""Events of a history, from and to."""
NEXT_EVENTS = 10
"""So many of a shopper's next events are predicted."""


@dataclass(frozen=True)
class Histories:
    """Histories of one group, one a shopper."""

    short: NDArray[np.float64]
    """`[shoppers, categories]`: evidence under the short half-life."""
    long: NDArray[np.float64]
    """`[shoppers, categories]`: the same under the long one."""
    held: NDArray[np.bool_]
    """`[shoppers, categories]`: whether the history holds the category."""
    following: NDArray[np.float64]
    """`[shoppers, categories]`: how many of the next events are of the category."""
    associated: NDArray[np.float64]
    """`[shoppers, categories]`: associations of the history's items with the category."""


def collect_histories(
    corpus: Corpus,
    taxonomy: Taxonomy,
    associations: Associations,
    targets: NDArray[np.int64],
    predicted: NDArray[np.bool_],
    decay: InterestDecay,
    group: str,
    *,
    cut: bool,
) -> Histories:
    """Collect the histories of a group.

    Args:
        corpus: the events; all have times.
        taxonomy: their categories.
        associations: read the history's items.
        targets: first events to predict, one a shopper.
        predicted: `[events]`: whether an event may be among those to predict.
        decay: half-lives in days.
        group: of `GROUPS`.
        cut: cut longer histories to their latest events, so many as the group has; else leave longer ones out.
    """
    least, most = GROUPS[group]
    random = np.random.default_rng(0)
    weights = compute_event_weights(corpus.columns.type_code, corpus.columns.rating, corpus.columns.dwell_seconds)
    rows = []
    for target in targets.tolist():
        begin, end = int(corpus.shopper_start[target]), int(corpus.context_end[target])
        drawn = end - begin if most is None else int(random.integers(least, most + 1))
        if end - begin < least or (not cut and most is not None and end - begin > most):
            continue
        if cut:
            begin = max(begin, end - drawn)
        events, following = np.arange(begin, end), _follow(corpus, taxonomy, target, predicted)
        if len(following):
            rows.append(_read_history(corpus, taxonomy, associations, weights, decay, target, events, following))
    if not rows:
        nothing = np.zeros((0, len(taxonomy.paths)))
        return Histories(nothing, nothing, nothing > 0.0, nothing, nothing)
    short, long, held, following, associated = (np.stack(column) for column in zip(*rows, strict=True))
    return Histories(short, long, held > 0.0, following, associated)


def _follow(corpus: Corpus, taxonomy: Taxonomy, target: int, predicted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Categories of the shopper's next events, from the target on."""
    end = int(corpus.starts[corpus.event_shopper[target] + 1])
    events = slice(target, min(end, target + NEXT_EVENTS))
    categories = taxonomy.of_event[events]
    return categories[(categories >= 0) & predicted[events]]


def _read_history(
    corpus: Corpus,
    taxonomy: Taxonomy,
    associations: Associations,
    weights: NDArray[np.float64],
    decay: InterestDecay,
    target: int,
    events: NDArray[np.int64],
    following: NDArray[np.int64],
) -> tuple[NDArray[np.float64], ...]:
    size, found = (
        len(taxonomy.paths),
        associations.score_history(corpus.event_item[events], corpus.columns.time[events]),
    )
    of_item = taxonomy.of_item[found.rows]
    events = events[taxonomy.of_event[events] >= 0]
    category = taxonomy.of_event[events]
    days = (corpus.columns.time[target] - corpus.columns.time[events]) / SECONDS_PER_DAY
    decayed = [weights[events] * decay_by_age(days, half_life) for half_life in (decay.short, decay.long)]
    short, long, held = (_sum_by(category, each, size) for each in (*decayed, np.ones(len(events))))
    led = _sum_by(of_item[of_item >= 0], found.scores[of_item >= 0], size)
    return short, long, held, _sum_by(following, np.ones(len(following)), size), led


def _sum_by(category: NDArray[np.int64], values: NDArray[np.floating[Any]], size: int) -> NDArray[np.float64]:
    return np.bincount(category, values, minlength=size).astype(np.float64)
