"""The stages of a training that take long and have no progress bar of their own, shown on a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def show_stage(description: str) -> Iterator[None]:
    """Show what runs, and its seconds when it has ended; nothing is written where stderr is no terminal."""
    console, began = Console(stderr=True), time.monotonic()
    if not console.is_terminal:
        yield
        return
    with console.status(description):
        yield
    console.print(f"{description}: {time.monotonic() - began:.0f} s", style="dim", highlight=False)
