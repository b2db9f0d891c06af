"""Position bias: items high in a list get more looks, so a click there is weaker evidence for the item.

An item at position k is looked at with propensity `k^-severity` (Joachims et al. 2017, "Unbiased Learning-to-Rank with
Biased Feedback", section 7.1), and is clicked only if looked at. An event whose position is known is weighted by the
inverse of its propensity, clipped; all others count 1.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit

from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.settings import TrainSettings

MAX_WEIGHT = 10.0
"""No click counts more than so many clicks at the first position: rare ones would drown the rest in noise."""
_MAX_POSITION = 20
"""Only clicks down to this position are compared: below, few items are seen often enough."""
_MAX_SEVERITY = 3.0


def estimate_severity(query: NDArray[np.int64], item: NDArray[np.int64], position: NDArray[np.int64]) -> float:
    """Estimate how fast propensities fall with the position; 0 if the clicks do not show it.

    Items that were clicked at several positions of one query's results tell it, as their relevance is the same at
    each of them. This is the harvesting of interventions of Agarwal et al. (2019, "Estimating Position Bias without
    Intrusive Interventions"), by the likelihood of Aslanyan and Porwal (2019, "Position Bias Estimation for Unbiased
    Learning-to-Rank in eCommerce Search"), which needs no relevance: a click at one of the positions k and l is at k
    with chance `k^-s / (k^-s + l^-s)`, if the item was shown at both as often.

    A log of clicks does not say how often that was. The more relevant of two items that change places was shown
    higher, the other lower: this cancels out where items count alike, so each counts once for a pair of positions,
    however often it was clicked. A position that was shown but never clicked is not compared, so few clicks make the
    estimate too low, never too high; there a normal prior of width 1 around 0 speaks as well.

    Args:
        query: `[clicks]`, whose results were clicked, -1 if unknown.
        item: `[clicks]`.
        position: `[clicks]`, from 1.
    """
    near, far, share = _compare_positions(query, item, position)
    if not len(share):
        return 0.0
    distance = np.log(far / near)

    def loss(value: float) -> float:
        likelihood = share * log_expit(value * distance) + (1.0 - share) * log_expit(-value * distance)
        return float(-likelihood.sum() + value**2 / 2.0)

    return float(minimize_scalar(loss, bounds=(0.0, _MAX_SEVERITY), method="bounded").x)


def _compare_positions(
    query: NDArray[np.int64], item: NDArray[np.int64], position: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pairs of positions, near and far, at which one item was clicked for one query; the near one's share of clicks."""
    places, clicks = np.unique(
        np.stack([query, item, position])[:, position <= _MAX_POSITION], axis=1, return_counts=True
    )
    pairs = []
    for lag in range(1, _MAX_POSITION):
        same = (places[:2, lag:] == places[:2, :-lag]).all(0)
        share = clicks[:-lag] / (clicks[:-lag] + clicks[lag:])
        pairs.append(np.stack([places[2, :-lag], places[2, lag:], share])[:, same])
    near, far, share = np.concatenate(pairs, axis=1)
    return near, far, share


def inverse_propensity_weights(
    corpus: Corpus, learnt: NDArray[np.bool_], settings: TrainSettings
) -> NDArray[np.float32]:
    """`[events]`: what each event counts as a target; exactly 1 where no position is known.

    Weights of the learnt events with a position have mean 1 (self-normalised: Swaminathan and Joachims 2015), so that
    these events together count what they counted before.

    Args:
        corpus: the events.
        learnt: `[events]`, those that training may learn from; the others tell nothing of the bias.
        settings: whether position bias is corrected at all.
    """
    weight = np.ones(len(corpus.event_item), dtype=np.float32)
    known = (corpus.event_item != NO_ITEM) & (corpus.columns.position >= 1.0)
    clicked = known & learnt
    if not settings.position_bias or not clicked.any():
        return weight
    query = np.where(corpus.event_search >= 0, corpus.event_text[corpus.event_search], -1)
    position = np.where(known, corpus.columns.position, 1.0)
    fall = estimate_severity(query[clicked], corpus.event_item[clicked], position[clicked].astype(np.int64))
    inverse = np.minimum(position**fall, MAX_WEIGHT)
    weight[known] = (inverse / inverse[clicked].mean())[known]
    return weight
