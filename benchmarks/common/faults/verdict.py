"""Figures of a run, one for each target, from the outcomes of its calls."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from benchmarks.common.faults.load import DEADLINE, HEALTH, NOT_SERVING, OK, READ, WITHDRAWAL_LOST, WRITE, Outcome

TOLERANCE_SECONDS = 0.5
"""Seconds that the load generator itself may be late: it shares two cores with all that it measures."""
_EXCUSED = ("RESOURCE_EXHAUSTED",)
"""Codes of load shedding, which is no failure that health should report."""
_CALM_SECONDS = 2.0


def count_late_calls(outcomes: Iterable[Outcome]) -> int:
    """Count the calls that ended after their deadline, whatever their status."""
    return sum(outcome.seconds > DEADLINE + TOLERANCE_SECONDS for outcome in outcomes)


def count_lost_withdrawals(outcomes: Iterable[Outcome]) -> int:
    """Count the withdrawals that were answered OK and had no effect."""
    return sum(outcome.code == WITHDRAWAL_LOST for outcome in outcomes)


def count_accepted_events(outcomes: Iterable[Outcome]) -> Counter[str]:
    """Count the confirmed events by shopper."""
    accepted = Counter[str]()
    for outcome in outcomes:
        if outcome.accepted:
            accepted[outcome.shopper] += outcome.accepted
    return accepted


def count_codes(outcomes: Iterable[Outcome]) -> dict[str, dict[str, int]]:
    """Count the calls by kind and status code."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        counts[outcome.kind][outcome.code] += 1
    return {kind: dict(found.most_common()) for kind, found in sorted(counts.items())}


def find_longest_unnoticed(outcomes: Sequence[Outcome]) -> float:
    """Find the longest time in seconds from the first to the last failure of a row while health was SERVING throughout.

    Looks at each connection and kind of call by itself. A row of failures ends where calls have succeeded and none has
    failed for `_CALM_SECONDS` seconds, and where health says NOT_SERVING.
    """
    apart: dict[tuple[int, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        for kind in (READ, WRITE) if outcome.kind == HEALTH else (outcome.kind,):
            apart[outcome.connection, kind].append(outcome)
    return max((_find_longest_row(apart[key]) for key in apart if key[1] in (READ, WRITE)), default=0.0)


def _find_longest_row(outcomes: Sequence[Outcome]) -> float:
    longest, first, last = 0.0, math.inf, -math.inf
    for outcome in sorted(outcomes, key=_end_time):
        now = _end_time(outcome)
        if outcome.kind == HEALTH:
            told = outcome.code == NOT_SERVING
            first = math.inf if told else first
        elif outcome.code == OK:
            first = math.inf if now - last > _CALM_SECONDS else first
        elif outcome.code not in _EXCUSED:
            first, last = min(first, now), now
            longest = max(longest, last - first)
    return longest


def _end_time(outcome: Outcome) -> float:
    return outcome.sent + outcome.seconds
