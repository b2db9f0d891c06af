"""Purchase cycles of categories, estimated and calibrated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.items.prices import category_key
from portrait.features.population.population import PurchaseCycles
from portrait.features.population.purchase_cycles import (
    CategoryCycle,
    CycleScale,
    compute_due_probability,
    compute_raw_due_probability,
    estimate_cycle,
    logit,
)
from portrait.training.dataset.corpus import Corpus
from portrait.training.population.calibration import Predictions, fit_platt
from portrait.training.population.taxonomy import Taxonomy

HORIZON_DAYS = 30.0
MIN_HORIZONS = 3.0
"""The training window must be so many horizons long."""
MIN_INTERVALS = 20
"""A category with fewer has no cycle."""
_PRIOR_SHOPPERS, _PRIOR_PURCHASES = 10.0, 20.0
"""Weight of the mean of all categories in a category's own estimate, in shoppers and in purchases."""
_MIN_ELAPSED_INTERVALS = 2.0
"""The return rate counts purchases that are at least this many typical intervals old."""
_MAX_PAIRS = 50_000
_PURCHASE = EVENT_TYPE_CODES[EventType.PURCHASE]


@dataclass(frozen=True)
class PurchaseDays:
    """Days on which shoppers bought in categories: each of shopper, category and day once, in this order."""

    shopper: NDArray[np.int64]
    category: NDArray[np.int64]
    day: NDArray[np.int64]
    """Since 1970."""

    @classmethod
    def of(cls, corpus: Corpus, taxonomy: Taxonomy, chosen: NDArray[np.bool_]) -> "PurchaseDays":
        """The purchases among some events."""
        time = corpus.columns.time
        purchase = chosen & (corpus.columns.type_code == _PURCHASE) & (taxonomy.of_event >= 0) & ~np.isnan(time)
        events = np.flatnonzero(purchase)
        day = np.floor(time[events] / SECONDS_PER_DAY).astype(np.int64)
        rows = np.unique(np.stack([corpus.event_shopper[events], taxonomy.of_event[events], day], 1), axis=0)
        return cls(rows[:, 0], rows[:, 1], rows[:, 2])

    def __len__(self) -> int:
        return len(self.day)

    def where(self, chosen: NDArray[np.bool_]) -> "PurchaseDays":
        """Some of the rows."""
        return PurchaseDays(self.shopper[chosen], self.category[chosen], self.day[chosen])

    @property
    def followed(self) -> NDArray[np.bool_]:
        """`[rows]`: whether the next row is of the same shopper and category."""
        follows = np.zeros(len(self), dtype=bool)
        follows[:-1] = (self.shopper[1:] == self.shopper[:-1]) & (self.category[1:] == self.category[:-1])
        return follows


def fit_cycles(corpus: Corpus, taxonomy: Taxonomy, train: NDArray[np.bool_], seed: int) -> PurchaseCycles | None:
    """Cycles of the categories that are bought again; None if the window is too short or nothing is.

    The calibration is fitted to the last horizon of the training window, by what was known at its beginning.
    """
    bought = PurchaseDays.of(corpus, taxonomy, train)
    if not len(bought) or np.ptp(bought.day) < MIN_HORIZONS * HORIZON_DAYS:
        return None
    begin = float(bought.day.max()) - HORIZON_DAYS
    earlier = estimate_cycles(bought.where(bought.day <= begin), taxonomy, (0.0, 1.0))
    if earlier is None:
        return None
    raw = predict_purchases(bought, taxonomy, earlier, begin, seed, calibrate=False)
    calibration = fit_platt(np.array([logit(chance) for chance in raw.chances.tolist()]), raw.labels)
    return estimate_cycles(bought, taxonomy, calibration)


def estimate_cycles(
    bought: PurchaseDays, taxonomy: Taxonomy, calibration: tuple[float, float]
) -> PurchaseCycles | None:
    """Cycles by moments: within and between shoppers as in a one-way analysis of variance."""
    followed = bought.followed
    begins = np.flatnonzero(followed)
    if len(begins) < MIN_INTERVALS:
        return None
    logs = np.log((bought.day[begins + 1] - bought.day[begins]).astype(np.float64))
    pair, inverse, count = np.unique(
        np.stack([bought.shopper[begins], bought.category[begins]], 1), axis=0, return_inverse=True, return_counts=True
    )
    inverse = inverse.ravel()
    mean = np.bincount(inverse, logs) / count
    within = float(((logs - mean[inverse]) ** 2).sum() / max(1, len(logs) - len(pair)))
    categories = len(taxonomy.paths)
    shoppers = np.bincount(pair[:, 1], minlength=categories)
    log_days = (np.bincount(pair[:, 1], mean, minlength=categories) + _PRIOR_SHOPPERS * mean.mean()) / (
        shoppers + _PRIOR_SHOPPERS
    )
    between = float(np.mean((mean - log_days[pair[:, 1]]) ** 2) - within * np.mean(1.0 / count))
    intervals = np.bincount(bought.category[begins], minlength=categories)
    returns = _return_rates(bought, followed, log_days)
    scale = CycleScale(max(within, 1e-4) ** 0.5, max(between, 1e-4) ** 0.5, calibration, HORIZON_DAYS)
    known = np.flatnonzero(intervals >= MIN_INTERVALS).tolist()
    return PurchaseCycles(
        scale,
        {
            category_key(taxonomy.paths[code]): CategoryCycle(
                float(log_days[code]), float(returns[code]), int(intervals[code])
            )
            for code in known
        },
    )


def _return_rates(
    bought: PurchaseDays, followed: NDArray[np.bool_], log_days: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`[categories]`: share of purchases that another followed, of those that were long enough ago."""
    old = bought.day <= bought.day.max() - _MIN_ELAPSED_INTERVALS * np.exp(log_days[bought.category])
    total = np.bincount(bought.category[old], minlength=len(log_days))
    again = np.bincount(bought.category[old], followed[old].astype(np.float64), minlength=len(log_days))
    overall = again.sum() / max(1.0, total.sum())
    rates: NDArray[np.float64] = (again + _PRIOR_PURCHASES * overall) / (total + _PRIOR_PURCHASES)
    return rates


def predict_purchases(
    bought: PurchaseDays, taxonomy: Taxonomy, cycles: PurchaseCycles, as_of: float, seed: int, *, calibrate: bool = True
) -> Predictions:
    """The chance of each shopper's repeated categories to be bought within the horizon, and whether they were.

    Args:
        bought: purchases before and after.
        taxonomy: the categories.
        cycles: estimated from what is before.
        as_of: the day.
        seed: of the choice of pairs, if there are many.
        calibrate: give the probability that is served, else the one before calibration.
    """
    keys = [category_key(path) for path in taxonomy.paths]
    before = bought.where(bought.day <= as_of)
    after = bought.where((bought.day > as_of) & (bought.day <= as_of + cycles.scale.horizon_days))
    came = set(zip(after.shopper.tolist(), after.category.tolist(), strict=True))
    first = np.flatnonzero(np.append(True, ~before.followed[:-1])) if len(before) else np.zeros(0, dtype=np.int64)
    ends = np.append(first[1:], len(before))
    chosen = [
        (begin, end)
        for begin, end in zip(first.tolist(), ends.tolist(), strict=True)
        if end - begin >= 2 and keys[before.category[begin]] in cycles.categories
    ]
    if len(chosen) > _MAX_PAIRS:
        places = np.random.default_rng(seed).choice(len(chosen), _MAX_PAIRS, replace=False)
        chosen = [chosen[place] for place in places.tolist()]
    chances, labels = [], []
    for begin, end in chosen:
        days, code = before.day[begin:end], int(before.category[begin])
        known = estimate_cycle(np.diff(days).tolist(), cycles.categories[keys[code]], cycles.scale)
        elapsed = as_of - float(days[-1])
        if calibrate:
            chances.append(compute_due_probability(known, elapsed, cycles.scale))
        else:
            chances.append(compute_raw_due_probability(known, elapsed, cycles.scale.horizon_days))
        labels.append((int(before.shopper[begin]), code) in came)
    return Predictions(np.array(chances), np.array(labels, dtype=bool))
