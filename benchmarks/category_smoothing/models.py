"""Ways to tell the categories of the next purchases; each gives `[shoppers, categories]`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.category_smoothing.category_tree import CategoryTree
from benchmarks.category_smoothing.histories import Histories
from portrait.features.population.interest_dynamics import InterestDecay, compute_next_event_probability
from portrait.features.population.population import InterestDynamics

LISTED, POPULARITY, FLAT, FLAT_FITTED, TREE, DIRICHLET_TREE = (
    "interests as listed", "popularity", "flat, as released", "flat, fitted", "tree", "Dirichlet tree"
)  # fmt: skip
STRENGTHS = tuple(2.0**power for power in range(-2, 11))
"""Strengths of priors that are tried."""
_MIN_LIFT, _MAX_INFERRED = 3.0, 5
"""Limits of the inferred interests that a profile lists."""
_BACK_OFF_WEIGHTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
_ROUNDS = 3
Numbers = Sequence[float]


@dataclass(frozen=True)
class Shop:
    """All that the models know of all shoppers."""

    shares: NDArray[np.float64]
    """`[categories]`: share of each in all shoppers' evidence."""
    tree: CategoryTree
    attention: InterestDynamics
    decay: InterestDecay
    """The release's, by time; every model has its half-lives and the share of the short one."""


@dataclass(frozen=True)
class Model:
    """A model with its fitted numbers."""

    predict: Callable[[Histories], NDArray[np.float64]]
    fitted: Mapping[str, float]
    has_probabilities: bool = True
    """False if the model gives an order alone."""


def fit_models(shop: Shop, groups: Sequence[Histories]) -> dict[str, Model]:
    """Fit each model's numbers by the likelihood of what followed validation histories; each group counts the same."""
    levels = [f"level {number}" for number in range(1, len(shop.tree.nodes) + 1)]

    def fit(
        predict: Callable[[Shop, Histories, Numbers], NDArray[np.float64]], names: Sequence[str], tried: Numbers
    ) -> Model:
        numbers = _fit_numbers(lambda of, chosen: predict(shop, of, chosen), len(names), tried, groups)
        return Model(lambda of: predict(shop, of, numbers), dict(zip(names, numbers, strict=True)))

    return {
        LISTED: Model(lambda of: _list_interests(shop, of), {}, has_probabilities=False),
        POPULARITY: fit(_back_off, ["weight of popularity"], _BACK_OFF_WEIGHTS),
        FLAT: Model(lambda of: _smooth_flat(shop, of, [shop.decay.prior]), {"prior": shop.decay.prior}),
        FLAT_FITTED: fit(_smooth_flat, ["prior"], STRENGTHS),
        TREE: fit(_smooth_by_tree, levels, STRENGTHS),
        DIRICHLET_TREE: fit(_smooth_by_dirichlet_tree, levels, STRENGTHS),
    }


def compute_log_likelihood(chances: NDArray[np.float64], following: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[shoppers]`: mean logarithm of the probability of the next events' categories."""
    logarithms = np.log(np.where(following > 0.0, chances, 1.0))
    result: NDArray[np.float64] = (logarithms * following).sum(1) / following.sum(1)
    return result


def _fit_numbers(
    predict: Callable[[Histories, Numbers], NDArray[np.float64]],
    count: int,
    tried: Numbers,
    groups: Sequence[Histories],
) -> list[float]:
    """Choose numbers one after the other: all together would take too many trials for a deep tree."""

    def measure(numbers: Numbers) -> float:
        return float(np.mean([compute_log_likelihood(predict(of, numbers), of.following).mean() for of in groups]))

    chosen = [tried[len(tried) // 2]] * count
    for _ in range(_ROUNDS if count > 1 else 1):
        for place in range(count):
            options = [[*chosen[:place], number, *chosen[place + 1 :]] for number in tried]
            chosen = max(options, key=measure)
    return chosen


def _list_interests(shop: Shop, of: Histories) -> NDArray[np.float64]:
    """The order of a profile's list: by weight, then what is inferred from associations, the likeliest first."""
    associated = np.where(of.held, 0.0, of.associated)
    inferred = np.zeros_like(associated)
    if shop.attention.inferred_calibration is not None:
        a, b = shop.attention.inferred_calibration
        with np.errstate(divide="ignore"):
            inferred = 1.0 / (1.0 + np.exp(-a - b * np.log(associated)))
        inferred[(associated <= 0.0) | (inferred < _MIN_LIFT * shop.shares)] = 0.0
        rank = np.argsort(np.argsort(-inferred, 1, kind="stable"), 1)
        inferred[rank >= _MAX_INFERRED] = 0.0
    return np.where(of.held, 1.0 + _compute_weights(shop, of), inferred)


def _compute_weights(shop: Shop, of: Histories) -> NDArray[np.float64]:
    """`Interest.weight` of each category; 0 without evidence."""
    own = _mix(shop.decay, of, np.zeros_like(of.long))
    return own / np.maximum(own.sum(1, keepdims=True), np.finfo(np.float64).tiny)


def _mix(decay: InterestDecay, of: Histories, usual: NDArray[np.float64]) -> NDArray[np.float64]:
    short_total, long_total = of.short.sum(1, keepdims=True), of.long.sum(1, keepdims=True)
    return compute_next_event_probability(of.short, short_total, of.long, long_total, usual, decay)


def _back_off(shop: Shop, of: Histories, numbers: Numbers) -> NDArray[np.float64]:
    """The weights, interpolated with the shares of all shoppers (Jelinek & Mercer 1980)."""
    [share] = numbers
    own = _compute_weights(shop, of)
    known = own.sum(1, keepdims=True) > 0.0
    return np.where(known, (1.0 - share) * own + share * shop.shares, shop.shares)


def _smooth_flat(shop: Shop, of: Histories, numbers: Numbers) -> NDArray[np.float64]:
    """`Interest.next_event_probability` of each category, also of those that the history lacks."""
    [prior] = numbers
    return _mix(dataclasses.replace(shop.decay, prior=prior), of, np.broadcast_to(shop.shares, of.long.shape))


def _smooth_by_tree(shop: Shop, of: Histories, numbers: Numbers) -> NDArray[np.float64]:
    """The same with the tree's shares in place of those of all shoppers; the last number is the prior."""
    *above, prior = numbers
    return _mix(dataclasses.replace(shop.decay, prior=prior), of, shop.tree.expect_shares(of.long, above))


def _smooth_by_dirichlet_tree(shop: Shop, of: Histories, numbers: Numbers) -> NDArray[np.float64]:
    recent, steady = (shop.tree.multiply_shares(masses, numbers) for masses in (of.short, of.long))
    return shop.decay.short_share * recent + (1.0 - shop.decay.short_share) * steady
