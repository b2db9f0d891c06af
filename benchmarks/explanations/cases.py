"""The cases that are explained: randomly drawn test shoppers, and the first recommendation of a release for each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.common.data_sets import read_events
from portrait.features.events import Event, Item
from portrait.server.catalogue.filters import Filter
from portrait.server.engine import Engine
from portrait.server.recommendation.ranking import RankRequest, RecommendRequest, rank, recommend
from portrait.training.run.run import TrainedRun

T = TypeVar("T")
A = TypeVar("A")

MIN_EVENTS = 8
"""Minimum length of a history: in a shorter one, three cited events leave fewer than three others to compare with."""
_IN_FLIGHT = 4


@dataclass(frozen=True)
class Case:
    """A shopper at the time of the test event."""

    history: Sequence[Event]
    as_of: datetime
    excluded: Sequence[str]
    """Ids of items that are not recommended: those that the shopper knows, where the data set masks them."""


def draw_cases(trained: TrainedRun, data: Path, count: int, seed: int = 0) -> list[Case]:
    """Draw test shoppers with at least `MIN_EVENTS` events, each once.

    Args:
        trained: says what the test is.
        data: the prepared data set.
        count: how many at most.
        seed: of the lot.
    """
    corpus, events = trained.corpus, read_events(data)
    targets = trained.holdout.test
    lengths = corpus.context_end[targets] - corpus.shopper_start[targets]
    fit = targets[lengths >= MIN_EVENTS]
    _, first = np.unique(corpus.event_shopper[fit], return_index=True)
    chosen = np.random.default_rng(seed).permutation(fit[first])[:count]
    return [_make_case(trained, events, int(target)) for target in chosen]


def _make_case(trained: TrainedRun, events: Sequence[Event], target: int) -> Case:
    history = events[trained.corpus.shopper_start[target] : trained.corpus.context_end[target]]
    seen = {event.item_id for event in history if event.item_id} if trained.holdout.mask_seen else set()
    return Case(history, events[target].time or datetime.now(UTC), sorted(seen))


async def recommend_items(engine: Engine, case: Case, history: Sequence[Event]) -> list[Item]:
    """Return the ten best items after a history; the excluded items do not depend on the history."""
    request = RecommendRequest(history, case.as_of, filter=Filter(exclude_item_ids=case.excluded))
    return [each.item for each in (await recommend(engine, request, deadline=None)).items]


async def score_item(engine: Engine, case: Case, history: Sequence[Event], item: Item) -> float:
    """Return the score of an item after a history; an item without a title is read from the catalogue."""
    request = RankRequest(history, case.as_of, candidates=[item])
    return (await rank(engine, request, deadline=None)).items[0].score


def without_title(item: Item) -> Item:
    """Return the item without its title, so that its id refers to the catalogue's."""
    return replace(item, title="")


async def gather_limited(things: Sequence[T], ask: Callable[[T], Awaitable[A]]) -> list[A]:
    """Await a call for each argument, a few at a time; return the results in order."""
    gate = asyncio.Semaphore(_IN_FLIGHT)

    async def one(thing: T) -> A:
        async with gate:
            return await ask(thing)

    return await asyncio.gather(*map(one, things))
