"""What SIGTERM and SIGINT do."""

import asyncio
import signal
from collections.abc import Callable


def end_on_signals() -> None:
    """Until calls are served, a signal ends what is being started."""
    starting = asyncio.current_task()
    assert starting is not None
    on_signals(starting.cancel)


def on_signals(action: Callable[[], object]) -> None:
    """Have them do something else from now on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, action)
