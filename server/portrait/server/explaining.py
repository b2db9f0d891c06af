"""Explanations by counterfactuals: what is said, minus what is said without one event or without one word.

Nothing is approximated: the same models answer again for each history that lacks an event, which the batcher gathers
into few runs. As leave-one-out does, it sees no effect of an event that others stand in for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Event, Item
from portrait.features.histories import ENCODED_EVENTS
from portrait.features.keywords import keywords
from portrait.server.engine import Engine, RankedItem, Ranking, RankRequest
from portrait.server.errors import NotFound
from portrait.server.profiles.profile import Profile

A = TypeVar("A")

MOST_WORDS = 64
"""Words of a title that are left out in turn."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one event, or one word, does to what is explained."""

    of: str
    """Id of the event, or the word."""
    effect: float
    """With it, minus without it."""


@dataclass(frozen=True, slots=True)
class RankingExplanation:
    """Why an item has its score."""

    ranked: RankedItem
    events: list[Effect]
    """Of the latest `ENCODED_EVENTS`, the largest effect first."""
    words: list[Effect]
    release: int
    event_count: int


@dataclass(frozen=True, slots=True)
class ProfileExplanation:
    """What a profile rests on."""

    events: list[Effect]
    """Of the latest `ENCODED_EVENTS`, the largest effect first."""
    weight: float
    """Of the interest; 0 where the profile as a whole is explained."""
    release: int
    event_count: int


async def explain_recommendation(
    engine: Engine, request: RankRequest, item: Item, *, deadline: float | None
) -> RankingExplanation:
    """Why an item has its score for a shopper.

    Args:
        engine: ranks; the one engine answers all.
        request: for whom; its candidates are not looked at.
        item: of the request's catalogue.
        deadline: `loop.time()` at which the caller's time is up; None if never.
    """

    async def ranking(history: Sequence[Event], *candidates: Item) -> Ranking:
        return await engine.rank(replace(request, history=history, candidates=candidates), deadline=deadline)

    async def score(history: Sequence[Event]) -> float:
        return (await ranking(history, Item(item.item_id, ""))).items[0].score

    whole = await ranking(request.history, Item(item.item_id, ""))
    without = await _without_each(request.history, score)
    return RankingExplanation(
        ranked=whole.items[0],
        events=_effects(request.history, [whole.items[0].score - each for each in without]),
        words=await _words(item, lambda *candidates: ranking(request.history, *candidates)),
        release=whole.release,
        event_count=whole.event_count,
    )


async def _words(item: Item, ranking: Callable[..., Awaitable[Ranking]]) -> list[Effect]:
    """What each word of a title adds to the score: the item is ranked by the words that stay."""
    words = list(dict.fromkeys(word.surface for word in keywords(item.title)))[:MOST_WORDS]
    titles = {word: " ".join(item.title.replace(word, " ").split()) for word in words}
    titles = {word: title for word, title in titles.items() if title}
    if not titles:
        return []
    variants = [replace(item, title=title) for title in {item.title, *titles.values()}]
    scores = {ranked.item.title: ranked.score for ranked in (await ranking(*variants)).items}
    effects = [Effect(word, scores[item.title] - scores[title]) for word, title in titles.items()]
    return sorted(effects, key=lambda each: -each.effect)


async def explain_profile(
    engine: Engine, history: Sequence[Event], as_of: datetime, interest: tuple[str, ...], *, deadline: float | None
) -> ProfileExplanation:
    """What a profile, or one interest of it, rests on.

    Args:
        engine: computes profiles.
        history: oldest first, nothing later than `as_of`.
        as_of: the moment of the profile.
        interest: a node of the taxonomy; empty for the profile as a whole, as its embedding.
        deadline: `loop.time()` at which the caller's time is up; None if never.

    Raises:
        NotFound: the profile has no such interest.
    """
    fields = frozenset({"interests" if interest else "embedding"})

    async def profile(events: Sequence[Event]) -> Profile:
        return await engine.profile(events, as_of, fields=fields, deadline=deadline)

    whole = await profile(history)
    weight = _weight(whole, interest)
    if interest and not weight:
        raise NotFound("interest", "the profile has no interest in this node of the taxonomy")
    profiles = await _without_each(history, profile)
    if interest:
        effects = [weight - _weight(without, interest) for without in profiles]
    else:
        effects = [1.0 - _cosine(whole.embedding, without.embedding) for without in profiles]
    return ProfileExplanation(_effects(history, effects), weight, whole.release, whole.event_count)


async def _without_each(history: Sequence[Event], answer: Callable[[Sequence[Event]], Awaitable[A]]) -> list[A]:
    """Answers for the history without each of its latest events, the oldest of them first."""
    places = range(max(0, len(history) - ENCODED_EVENTS), len(history))
    return await asyncio.gather(*(answer([*history[:place], *history[place + 1 :]]) for place in places))


def _effects(history: Sequence[Event], effects: Sequence[float]) -> list[Effect]:
    latest = history[len(history) - len(effects) :]
    named = [Effect(event.event_id, effect) for event, effect in zip(latest, effects, strict=True)]
    return sorted(named, key=lambda each: -each.effect)


def _weight(profile: Profile, path: tuple[str, ...]) -> float:
    return next((each.weight for each in profile.interests if each.path == path), 0.0)


def _cosine(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> float:
    """Of unit vectors; 0 where there is none, as of an empty history."""
    return 0.0 if one is None or other is None else float(one @ other)
