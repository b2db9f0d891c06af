"""Hit rates of the gateway's own caches, under requests that are drawn: visits of shoppers who follow Zipf's law."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.sizing.workload import Workload
from benchmarks.sizing.zipf import Zipf
from portrait.server.inference.texts import TextCache
from portrait.server.response_cache import ResponseCache

_MIB = 1 << 20
RESPONSE_CACHE_BYTES, RESPONSE_SECONDS, TEXT_CACHE_BYTES = 64 * _MIB, 60.0, 256 * _MIB
"""The defaults of `portrait serve`."""
_RESPONSE = bytes(2_755)
"""64 MiB hold about 20,000 profiles (docs/operations/gateway.md)."""
_DIMENSION = 128
WARM_SECONDS, MEASURED_SECONDS = 60.0, 30.0
"""A cached response lives for a minute at most, so a minute fills the cache."""
_SEARCH = 2
"""The kind of requests whose query is new each time."""


@dataclass(frozen=True)
class Requests:
    """Requests of all shoppers in the order of time; arrays are `[requests]`."""

    times: NDArray[np.float64]
    """Seconds."""
    shoppers: NDArray[np.int64]
    kinds: NDArray[np.int64]
    """0 recommendations, 1 a profile, 2 recommendations for a query."""
    versions: NDArray[np.int64]
    """A number that two requests of a shopper share if no event of the shopper lies between them."""


def draw_requests(workload: Workload, exponent: float, seconds: float, rng: np.random.Generator) -> Requests:
    """Draw the requests of a span of time, all of them, also of visits that have begun before it.

    A visit ends after each request with the same chance, and its gaps are exponential. So at any moment the rest of a
    visit that waits for its next request looks like a whole one.
    """
    visits_a_second = workload.requests / workload.visit_requests
    waiting = rng.poisson(visits_a_second * (workload.visit_requests - 1.0) * workload.gap_seconds)
    new = rng.poisson(visits_a_second * seconds)
    began = np.concatenate([rng.exponential(workload.gap_seconds, waiting), rng.uniform(0.0, seconds, new)])
    visits = waiting + new
    lengths = rng.geometric(1.0 / workload.visit_requests, visits)
    who = np.repeat(Zipf(workload.shoppers, exponent).draw(visits, rng), lengths)
    gaps = rng.exponential(workload.gap_seconds, len(who))
    first = np.cumsum(lengths) - lengths
    gaps[first] = 0.0
    waited = np.cumsum(gaps)
    times = np.repeat(began, lengths) + waited - np.repeat(waited[first], lengths)
    inside = times < seconds
    times, who = times[inside], who[inside]
    order = np.lexsort((times, who))
    followed = rng.random(len(order)) < workload.events_a_request
    versions = np.empty(len(order), dtype=np.int64)
    versions[order] = np.cumsum(followed) - followed
    kinds = rng.choice(3, len(order), p=_shares(workload))
    by_time = np.argsort(times)
    return Requests(times[by_time], who[by_time], kinds[by_time], versions[by_time])


def _shares(workload: Workload) -> tuple[float, float, float]:
    return 1.0 - workload.profile_share - workload.search_share, workload.profile_share, workload.search_share


def simulate_responses(requests: Requests, processes: int, by_shopper: bool, changes: float, seed: int = 0) -> float:
    """Run the real response caches of some gateway processes on the requests that reach them.

    Args:
        requests: of `WARM_SECONDS` and `MEASURED_SECONDS`.
        processes: gateway processes of all machines.
        by_shopper: all requests of a shopper reach one process; else each reaches any.
        changes: items that change a second; each change makes all cached responses invalid.
        seed: of the distribution over processes.

    Returns:
        The share of hits, 0 to 1, after the caches have filled.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(processes)
    reached = requests.shoppers % processes if by_shopper else rng.integers(processes, size=len(requests.times))
    hits = asked = 0
    for process in shuffled[: _count_watched(len(requests.times), processes)]:
        cache = ResponseCache(RESPONSE_CACHE_BYTES)
        for place in np.flatnonzero(reached == process):
            found = _ask(cache, requests, place, changes, rng)
            if requests.times[place] >= WARM_SECONDS:
                hits, asked = hits + found, asked + 1
    return hits / max(1, asked)


def _ask(cache: ResponseCache, requests: Requests, place: int, changes: float, rng: np.random.Generator) -> bool:
    """Ask a cache as the gateway does, and tell whether it has the response; one that is missing is added."""
    now, kind = float(requests.times[place]), int(requests.kinds[place])
    unique = uuid.uuid4().bytes if kind == _SEARCH else b""  # another query each time
    key = cache.key(str(kind), int(requests.shoppers[place]).to_bytes(8, "little") + unique)
    state = (int(requests.versions[place]), int(now * changes))
    if cache.get(key, state, now) is not None:
        return True
    cache.put(key, _RESPONSE, state, now + RESPONSE_SECONDS * float(rng.uniform(0.5, 1.0)))
    return False


def _count_watched(requests: int, processes: int) -> int:
    """Take so many processes that they see some 200,000 requests together."""
    return min(processes, max(1, round(200_000 / max(1.0, requests / processes))))


def simulate_texts(workload: Workload, exponent: float, filled: int, measured: int, seed: int = 0) -> float:
    """Run the real cache of texts of one process on drawn queries.

    Args:
        workload: has the number of different queries.
        exponent: of Zipf's law.
        filled: queries before the measurement.
        measured: queries that count.
        seed: of the draw.

    Returns:
        The share of hits, 0 to 1.
    """
    cache = TextCache(TEXT_CACHE_BYTES)
    vector = np.zeros(_DIMENSION, dtype=np.float32)
    for place, query in enumerate(_draw_queries(workload, exponent, filled + measured, seed)):
        if place == filled:
            cache.hits = cache.misses = 0
        if cache.get(query) is None:
            cache.put(query, vector)
    return cache.hits / measured


def _draw_queries(workload: Workload, exponent: float, count: int, seed: int) -> Iterator[str]:
    for rank in Zipf(workload.queries, exponent).draw(count, np.random.default_rng(seed)):
        yield f"query of rank {rank:09d}"
