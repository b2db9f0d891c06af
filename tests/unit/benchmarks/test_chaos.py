"""The verdict of the chaos benchmark, on outcomes made by hand."""

import pytest

from benchmarks.common.faults.load import DEADLINE, HEALTH, NOT_SERVING, OK, READ, SERVING, WRITE, Outcome
from benchmarks.common.faults.verdict import count_accepted_events, count_late_calls, find_longest_unnoticed

FAILED = "UNAVAILABLE"


def calls(kind: str, code: str, *ends: float, connection: int = 0) -> list[Outcome]:
    return [Outcome(connection, kind, end - 0.1, 0.1, code) for end in ends]


def test_failures_while_health_says_serving_are_found_among_successes() -> None:
    half = [*calls(READ, FAILED, *range(10, 20)), *calls(READ, OK, *(each + 0.5 for each in range(10, 20)))]
    assert find_longest_unnoticed([*half, *calls(HEALTH, SERVING, *range(30))]) == pytest.approx(9.0)


def test_health_that_says_not_serving_ends_the_row() -> None:
    failures = calls(READ, FAILED, *range(10, 20))
    assert find_longest_unnoticed([*failures, *calls(HEALTH, NOT_SERVING, 12.5)]) == pytest.approx(6.0)
    assert find_longest_unnoticed([*failures, *calls(HEALTH, NOT_SERVING, 12.5, connection=1)]) == pytest.approx(9.0)


def test_rare_failures_are_no_row_but_waiting_in_vain_is() -> None:
    rare = [*calls(WRITE, FAILED, 10, 20), *calls(WRITE, OK, *range(11, 20))]
    assert find_longest_unnoticed(rare) == pytest.approx(0.0)
    assert find_longest_unnoticed(calls(WRITE, FAILED, 10, 20)) == pytest.approx(10.0)


def test_refusals_for_want_of_room_are_excused() -> None:
    assert find_longest_unnoticed(calls(READ, "RESOURCE_EXHAUSTED", *range(10, 20))) == 0.0
    assert find_longest_unnoticed([]) == 0.0


def test_accepted_events_and_late_calls_are_counted() -> None:
    outcomes = [
        Outcome(0, WRITE, 0.0, 0.1, OK, "ann", 5),
        Outcome(0, WRITE, 1.0, 0.1, OK, "ann", 3),
        Outcome(0, WRITE, 1.0, DEADLINE + 1.0, FAILED, "ann"),
    ]
    assert count_accepted_events(outcomes) == {"ann": 8}
    assert count_late_calls(outcomes) == 1
