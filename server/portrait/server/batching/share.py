"""Whose work it is, and how urgent that kind of work is: what fairness goes by."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """Whose share of the models a piece of work counts for."""

    caller: str = ""
    """Who asks, and by which method."""
    background: bool = False
    """Whether nobody waits for it: it runs when nothing else does."""


_NOBODY = Share()
_current: ContextVar[Share] = ContextVar("share", default=_NOBODY)


def current_share() -> Share:
    """Whose the call is that is being served; nobody's outside of calls."""
    return _current.get()


def set_share(share: Share) -> None:
    """Say whose the call is that is being served. Tasks and threads that it starts inherit it."""
    _current.set(share)
