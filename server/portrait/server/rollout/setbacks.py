"""Releases that could not be loaded: refused if the fault is theirs, delayed while Triton or another part is away."""

import asyncio
from dataclasses import dataclass

import structlog

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.triton import TritonDown, TritonLost

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
"""Seconds before a refused release is retried; doubled each time."""
_LONGEST_DELAY = 20.0
"""The same for a delayed release: whoever promotes it waits until it serves."""
_OF_MODELS = {ErrorReason.MODELS_UNAVAILABLE, ErrorReason.RELEASE_LOADING, ErrorReason.SHARED_MEMORY_FULL}
"""Causes for which models do not answer."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Setback:
    """The reason why a release could not be loaded, and the time of the next attempt."""

    reason: str
    pause: float
    """Seconds between the failure and the next attempt."""
    until: float
    """`loop.time()` of the next attempt."""


class Setbacks:
    """The wanted releases that could not be loaded, by number."""

    def __init__(self) -> None:
        self.refused: dict[int, Setback] = {}
        """Those that can't be loaded as they are."""
        self.delayed: dict[int, Setback] = {}
        """Those against which nothing is known: Triton, or another part, is away."""
        self._lost: set[int] = set()
        """Those with which Triton was lost once."""

    def is_due(self, release: int) -> bool:
        """Tell whether a release may be loaded now."""
        setback = self._find(release)
        return setback is None or setback.until <= asyncio.get_running_loop().time()

    def note(self, release: int, error: Exception) -> None:
        """Refuse a release, or delay it if the error says nothing against it.

        Args:
            release: its number.
            error: why it could not be loaded.
        """
        if release not in self.refused and self._is_chance(release, error):
            self.delayed[release] = setback = self._make_setback(release, str(error), _LONGEST_DELAY)
            _log.warning("release_delayed", release=release, reason=setback.reason, retry_in_seconds=setback.pause)
        else:
            self.refuse(release, str(error))

    def refuse(self, release: int, reason: str) -> None:
        """Refuse a release, for a reason that repeats no text of a shopper."""
        self.refused[release] = setback = self._make_setback(release, reason, _LONGEST_PAUSE)
        self.delayed.pop(release, None)
        _log.error("release_refused", release=release, reason=reason, retry_in_seconds=setback.pause)

    def forget(self, release: int) -> None:
        """Forget the setbacks of a release, which is loaded now."""
        self.refused.pop(release, None)
        self.delayed.pop(release, None)
        self._lost.discard(release)

    def clear(self) -> None:
        """Forget all, since an operator has chosen anew: every release is due at once."""
        for release in {*self.refused, *self.delayed, *self._lost}:
            self.forget(release)

    def _is_chance(self, release: int, error: Exception) -> bool:
        """Tell whether an error says nothing against a release.

        A Triton that is lost while it loads or runs one is chance once. The second time the release is taken for the
        cause, and retried ever more rarely: each attempt could take Triton from the shoppers who are served.
        """
        if isinstance(error, TritonLost) or (isinstance(error, Unavailable) and error.reason in _OF_MODELS):
            is_first = release not in self._lost
            self._lost.add(release)
            return is_first
        return isinstance(error, TritonDown | Unavailable)

    def _make_setback(self, release: int, reason: str, longest: float) -> Setback:
        before = self._find(release)
        pause = _FIRST_PAUSE if before is None else min(2 * before.pause, longest)
        return Setback(reason, pause, asyncio.get_running_loop().time() + pause)

    def _find(self, release: int) -> Setback | None:
        return self.refused.get(release) or self.delayed.get(release)
