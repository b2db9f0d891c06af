"""All simulations of the sizing."""

from dataclasses import dataclass

import numpy as np

from benchmarks.sizing import caches
from benchmarks.sizing.hot_keys import MasterLoad, simulate_masters
from benchmarks.sizing.workload import Workload

EXPONENTS = (0.6, 0.8, 1.0)
_MASTERS = [16, 64, 256]
_TEXTS_FILLED = (10_000, 100_000, 400_000)
_TEXTS_MEASURED = 50_000


@dataclass(frozen=True)
class ResponseHits:
    """Hit rate of the response cache."""

    exponent: float
    by_shopper: bool
    changes: float
    hits: float


@dataclass(frozen=True)
class TextHits:
    """Hit rate of the cache of texts of one process after a number of queries."""

    exponent: float
    filled: int
    hits: float


@dataclass(frozen=True)
class Simulations:
    """The results of all simulations."""

    processes: int
    responses: list[ResponseHits]
    texts: list[TextHits]
    masters: list[MasterLoad]


def simulate(workload: Workload, processes: int) -> Simulations:
    """Run all simulations; takes some minutes of one core and some GiB at 50,000 requests a second."""
    responses, seconds = [], caches.WARM_SECONDS + caches.MEASURED_SECONDS
    for exponent in EXPONENTS:
        requests = caches.draw_requests(workload, exponent, seconds, np.random.default_rng(0))
        responses += [
            ResponseHits(
                exponent, by_shopper, changes, caches.simulate_responses(requests, processes, by_shopper, changes)
            )
            for by_shopper in (False, True)
            for changes in (0.0, workload.changes)
        ]
    texts = [
        TextHits(exponent, filled, caches.simulate_texts(workload, exponent, filled, _TEXTS_MEASURED))
        for exponent in EXPONENTS
        for filled in _TEXTS_FILLED
    ]
    masters = [load for exponent in EXPONENTS for load in simulate_masters(workload.shoppers, exponent, _MASTERS)]
    return Simulations(processes, responses, texts, masters)
