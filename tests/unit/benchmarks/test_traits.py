"""The benchmark of traits: campaigns are split by time, and nothing of a later one is used for an earlier one."""

import numpy as np

from benchmarks.common import campaigns
from benchmarks.common.campaigns import VALIDATION_FROM, Campaign, Pairs

DAY = 86_400.0
BEGIN = VALIDATION_FROM.timestamp()


def campaign(number: int, start: float, days: float, kind: str = "A") -> Campaign:
    begin = BEGIN + start * DAY
    return Campaign(number, kind, begin, begin + days * DAY, np.arange(3))


def test_campaigns_that_reach_into_a_later_part_are_left_out() -> None:
    every = [
        campaign(1, -90, 30), campaign(2, -20, 30), campaign(3, 1, 20), campaign(4, 5, 99), campaign(5, 60, 30),
        campaign(6, 70, 30),
    ]  # fmt: skip
    parts = campaigns.split_campaigns(every, BEGIN + 50 * DAY)
    assert [[each.number for each in part] for part in parts] == [[1], [3], [5, 6]]


def test_popularity_is_that_of_earlier_campaigns_of_the_type() -> None:
    every = [campaign(1, -90, 30, "A"), campaign(2, -90, 30, "B"), campaign(3, 60, 30, "A"), campaign(4, 60, 30, "C")]
    train = Pairs(np.arange(4), np.array([1, 1, 2, 2]), np.array([True, False, False, False]))
    test = Pairs(np.arange(2), np.array([3, 4]), np.array([False, False]))
    assert campaigns.predict_by_popularity(every, train, test).tolist() == [0.5, 0.25]
