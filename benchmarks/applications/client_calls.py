"""Concurrent calls to a gateway, each by the code of an example."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.gateway import run_gateway
from portrait.client import Client, Event, Profile, Ranking
from portrait.training.metrics import MISSED

T = TypeVar("T")
A = TypeVar("A")

_IN_FLIGHT = 4
_SECONDS = 60.0
_PER_CALL = 64
"""Shoppers in one call: fewer than the 256 that a call takes by id, because their histories are in the request."""


@contextmanager
def open_client(repository: Path, *arguments: str) -> Iterator[Client]:
    """Run a gateway with real Triton for the newest release of a repository; yield a client of it."""
    with run_gateway(repository, *arguments) as served, Client(served.address, timeout=_SECONDS) as portrait:
        yield portrait


def call_all(ask: Callable[[T], A], questions: Sequence[T]) -> list[A]:
    """Call a function for all arguments, a few at a time; return the results in order."""
    with ThreadPoolExecutor(_IN_FLIGHT) as threads:
        return list(threads.map(ask, questions))


def get_profiles(portrait: Client, histories: Mapping[str, list[Event]], as_of: datetime) -> dict[str, Profile]:
    """Get traits and value of each shopper; shoppers with an error are left out."""
    names = list(histories)
    found: dict[str, Profile] = {}
    for begin in range(0, len(names), _PER_CALL):
        part = names[begin : begin + _PER_CALL]
        answered = portrait.batch_get_profiles(
            [histories[name] for name in part], as_of=as_of, fields=["traits", "customer_value"]
        )
        found |= {name: each for name, each in zip(part, answered, strict=True) if isinstance(each, Profile)}
    return found


def rank_wanted(rankings: Sequence[Ranking], wanted: Sequence[str]) -> NDArray[np.int64]:
    """Return `[rankings]`: the 0-based rank of the wanted item in each, `MISSED` if it is absent."""
    found = np.full(len(rankings), MISSED)
    for row, (ranking, item_id) in enumerate(zip(rankings, wanted, strict=True)):
        ids = [ranked.item.item_id for ranked in ranking.items]
        if item_id in ids:
            found[row] = ids.index(item_id)
    return found
