"""Cutoffs of a trait: times of training, validation and test samples whose label windows never overlap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import SECONDS_PER_DAY

MAX_CUTOFFS = 12
"""Moments of each part, the latest ones."""


class Ineligible(Exception):
    """A trait can't be learnt from this log; the message is its reason, for the report and for who asks."""


@dataclass(frozen=True)
class Cutoffs:
    """Moments at which every shopper is a sample, seconds since 1970, ascending.

    A label is of the time after its moment, up to a horizon later. Training labels end before the first moment of
    validation, those of validation before the first moment of the test.
    """

    train: NDArray[np.float64]
    validation: NDArray[np.float64]
    test: NDArray[np.float64]


def place_cutoffs(begin: float, learnt: float, end: float, horizon_days: int, window_days: int) -> Cutoffs:
    """Place the moments.

    Args:
        begin: the log's first event, seconds since 1970.
        learnt: the last event that the encoders learnt from; validation and test are later, as they are in service.
        end: the log is complete up to here.
        horizon_days: of the label.
        window_days: of history that must precede each moment.

    Raises:
        Ineligible: the log is too short.
    """
    horizon, window = horizon_days * SECONDS_PER_DAY, window_days * SECONDS_PER_DAY
    middle = (learnt + end) / 2
    if middle - learnt < horizon:
        days = max(0.0, end - learnt) / SECONDS_PER_DAY
        raise Ineligible(
            f"window too short: the log goes on for {days:.0f} days after what the encoders learnt from; validation "
            f"and test need {horizon_days} days each"
        )
    train = _step_back(learnt - horizon, begin + window, horizon)
    if not len(train):
        days = (learnt - begin) / SECONDS_PER_DAY
        raise Ineligible(
            f"window too short: the encoders learnt from {days:.0f} days; {window_days} of history and {horizon_days} "
            "of labels are needed"
        )
    return Cutoffs(train, _step_back(middle - horizon, learnt, horizon), _step_back(end - horizon, middle, horizon))


def _step_back(latest: float, earliest: float, step: float) -> NDArray[np.float64]:
    count = int(np.floor((latest - earliest) / step)) + 1 if latest >= earliest else 0
    return latest - step * np.arange(min(count, MAX_CUTOFFS), dtype=np.float64)[::-1]
