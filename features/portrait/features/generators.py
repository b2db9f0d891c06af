"""Work that may pause: a generator that yields wherever other work may have its turn."""

from collections.abc import Generator
from typing import TypeVar

R = TypeVar("R")


def run_to_completion(work: Generator[None, None, R]) -> R:
    """Run work here without a pause; returns its result."""
    while True:
        try:
            next(work)
        except StopIteration as ended:
            result: R = ended.value
            return result
