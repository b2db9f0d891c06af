"""Rates of loads whose calls were all answered."""

from collections.abc import Sequence

from benchmarks.common.load.generator import OK, CallResult


def require_answered(answered: Sequence[CallResult]) -> None:
    """Require that no request failed.

    Raises:
        RuntimeError: one did.
    """
    if failed := [each.code for each in answered if each.code != OK]:
        raise RuntimeError(f"{len(failed)} of {len(answered)} requests failed: {failed[0]}")


def compute_rate(answered: Sequence[CallResult]) -> float:
    """Compute answers a second.

    Raises:
        RuntimeError: a request failed.
    """
    require_answered(answered)
    return len(answered) / (max(e.sent + e.seconds for e in answered) - min(e.sent for e in answered))
