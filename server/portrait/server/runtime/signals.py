"""Handlers of SIGTERM, SIGINT and SIGHUP."""

import asyncio
import signal
from collections.abc import Callable


def cancel_on_signals() -> None:
    """Let SIGTERM and SIGINT cancel the current task; used during the start, until `handle_signals` replaces it."""
    starting = asyncio.current_task()
    assert starting is not None
    handle_signals(starting.cancel)


def handle_signals(action: Callable[[], object]) -> None:
    """Call a function at every SIGTERM and SIGINT from now on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, action)


def end_on_interrupt() -> None:
    """Let SIGINT end the process at once, as SIGTERM does; for work in threads, which nothing can cancel."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignore_hangup() -> None:
    """Ignore SIGHUP, which ends a process by default; child processes inherit this."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def handle_hangup(action: Callable[[], object]) -> None:
    """Call a function at every SIGHUP from now on."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, action)
