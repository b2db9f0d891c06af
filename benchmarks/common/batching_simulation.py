"""Simulation of batching policies on a workload; `python -m benchmarks batching-policies REPOSITORY` compares them.

Time is virtual: a simulation is exact, takes no time of its own, and runs the gateway's own batcher. Each instance of
the model answers batches one after another, in `fixed + per_place * places` seconds, where places are the tokens of a
batch with its padding; `python -m benchmarks batch-shapes` measures both.
"""

import asyncio
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.common import virtual_time
from portrait.server.batching.batcher import Batcher
from portrait.server.batching.caller_key import CallerKey, set_caller_key
from portrait.server.batching.shapes import Shapes
from portrait.server.errors import DeadlineExceeded, Overloaded
from portrait.server.inference.texts import QUEUE, SHAPES
from portrait.server.inference.triton import AHEAD

FIXED, PER_PLACE, INSTANCES = 1.4e-3, 38.0e-6, 2
"""Seconds, by `python -m benchmarks batch-shapes` with all-MiniLM-L6-v2 in bfloat16 on 2 cores of a Xeon with AMX."""
DELAY = 2e-3
"""Seconds that a batcher of fixed delay waits for more."""
SECONDS = 5.0
RATES = (500, 1000, 2000, 2500)


@dataclass(frozen=True, slots=True)
class Text:
    """One text that a caller wants encoded."""

    number: int
    arrives: float
    length: int
    caller: str = ""
    background: bool = False
    patience: float = math.inf
    """Seconds until its deadline."""
    leaves_after: float = math.inf
    """Seconds after which its caller cancels."""


@dataclass
class SimulatedModel:
    """A model whose instances run one batch at a time each."""

    fixed: float = FIXED
    per_place: float = PER_PLACE
    instances: int = INSTANCES
    batches: list[tuple[float, list[Text], int]] = field(default_factory=list)
    """By batch: the time at which it was sent, its texts, and the length that it is padded to."""

    def __post_init__(self) -> None:
        self._idle = asyncio.Semaphore(self.instances)

    async def run(self, texts: Sequence[Text], length: int, deadline: float | None) -> list[int]:
        """Answer each text with its number."""
        self.batches.append((asyncio.get_running_loop().time(), list(texts), length))
        async with self._idle:
            await asyncio.sleep(self.fixed + self.per_place * len(texts) * length)
        return [text.number for text in texts]


class Policy(Protocol):
    """A policy that gathers texts into batches."""

    def submit(self, item: Text, deadline: float | None) -> "asyncio.Future[int]":
        """Queue a text; the future holds its answer."""


def make_gateway_batcher(model: SimulatedModel, shapes: Shapes = SHAPES, limit: int = QUEUE) -> Batcher[Text, int]:
    """Make the gateway's own batcher."""
    running = model.instances
    return Batcher(model.run, lambda text: text.length, shapes, running + AHEAD, limit, running)


@dataclass
class Outcome:
    """The outcome of a workload."""

    model: SimulatedModel
    seconds: dict[int, float] = field(default_factory=dict)
    """Seconds of each text that was answered."""
    late: dict[int, float] = field(default_factory=dict)
    """Time at which each text was refused because its deadline had passed."""
    left: dict[int, float] = field(default_factory=dict)
    """Time of each cancel."""
    refused: set[int] = field(default_factory=set)
    ended: float = 0.0

    def summary(self) -> dict[str, float]:
        """Rate, latency, tokens in a batch and padding."""
        taken = sorted(self.seconds.values())
        filled = sum(text.length for _, texts, _ in self.model.batches for text in texts)
        places = sum(len(texts) * length for _, texts, length in self.model.batches)
        return {
            "texts_per_second": round(len(taken) / self.ended),
            "p50_ms": round(1e3 * taken[len(taken) // 2], 1),
            "p99_ms": round(1e3 * taken[len(taken) * 99 // 100], 1),
            "tokens_per_batch": round(filled / len(self.model.batches)),
            "padding": round(1 - filled / places, 3),
        }


def simulate(
    workload: Sequence[Text], policy: Callable[[SimulatedModel], Policy], model: SimulatedModel | None = None
) -> Outcome:
    """Send a workload and wait for the outcome of every text."""

    async def scenario() -> Outcome:
        outcome = Outcome(model or SimulatedModel())
        batcher = policy(outcome.model)
        async with asyncio.TaskGroup() as group:
            for text in workload:
                group.create_task(_send(text, batcher, outcome))
        outcome.ended = asyncio.get_running_loop().time()
        return outcome

    return virtual_time.run(scenario())


async def _send(text: Text, batcher: Policy, outcome: Outcome) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(text.arrives)
    set_caller_key(CallerKey(text.caller, text.background))
    deadline = None if math.isinf(text.patience) else loop.time() + text.patience
    try:
        async with asyncio.timeout(None if math.isinf(text.leaves_after) else text.leaves_after):
            if await batcher.submit(text, deadline) != text.number:
                raise AssertionError("the answer of another text")
            outcome.seconds[text.number] = loop.time() - text.arrives
    except TimeoutError:
        outcome.left[text.number] = loop.time()
    except Overloaded:
        outcome.refused.add(text.number)
    except DeadlineExceeded:
        outcome.late[text.number] = loop.time()


def draw_poisson_arrivals(rng: random.Random, lengths: Sequence[int], rate: float, seconds: float) -> Iterator[Text]:
    """Draw texts that arrive one by one, as a Poisson process."""
    now, number = 0.0, 0
    while (now := now + rng.expovariate(rate)) < seconds:
        yield Text(number, now, rng.choice(lengths))
        number += 1


def draw_burst_arrivals(
    rng: random.Random, lengths: Sequence[int], rate: float, seconds: float, size: int
) -> Iterator[Text]:
    """Draw texts that arrive in bursts of a size, as calls of many texts do."""
    calls = draw_poisson_arrivals(rng, lengths, rate / size, seconds)
    for call, first in enumerate(calls):
        for place in range(size):
            yield Text(call * size + place, first.arrives, rng.choice(lengths))
