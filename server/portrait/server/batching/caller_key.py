"""The caller of a piece of work and its urgency: fair queueing goes by them."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallerKey:
    """Identifies whose share of the models a piece of work uses."""

    caller: str = ""
    """Caller and method."""
    background: bool = False
    """True for work that nobody waits for: it runs when nothing else does."""


_NOBODY = CallerKey()
_current: ContextVar[CallerKey] = ContextVar("caller_key", default=_NOBODY)


def current_caller_key() -> CallerKey:
    """Return the key of the current call; an empty one outside of calls."""
    return _current.get()


def set_caller_key(key: CallerKey) -> None:
    """Set the key of the current call. Tasks and threads that it starts inherit it."""
    _current.set(key)
