"""The deletion test: a score falls further without the cited events than without any others.

Also known as comprehensiveness (DeYoung et al. 2020, "ERASER"). For one event it is true by construction: the cited one
is the one whose removal costs most. It says something for three that are removed together, and of what explanations do
not look at: whether the item is still recommended.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from benchmarks.explanations.cases import Case, recommend_items, score_item, without_title
from portrait.features.events import DEFAULT_CATALOGUE, Event, Item
from portrait.features.profiles.evidence import MAX_EXPLAINED_EVENTS
from portrait.server.engine import Engine
from portrait.server.explanation.counterfactuals import (
    EventEffect,
    ProfilePart,
    WordEffect,
    explain_profile,
    remove_words,
)
from portrait.server.profiles.compute import compute_profile

T = TypeVar("T")

SIZES = (1, 3)
"""Numbers of removed events or words."""
DRAWS = 5
"""Number of random removals for each shopper; their mean counts."""
MIN_WORDS = 6
"""Minimum words of a title: three cited ones and three others."""
MAX_ATTENTION_SHARE = 0.5
"""Maximum weight of an interest: a larger one is most of the history, and no few events matter to it."""

Loss = dict[str, float]
"""Loss by method of choosing what is removed."""


@dataclass
class DeletionEffect:
    """Losses for one shopper, by number of removals and method of choosing them."""

    by_size: dict[int, Loss] = field(default_factory=dict)
    left_ten: dict[int, Loss] = field(default_factory=dict)
    """By number of removals: 1 if the item is no longer among the ten best; only for recommendations."""
    joint: list[tuple[float, float]] = field(default_factory=list)
    """By random removal of several events: the sum of their effects, and the loss."""


async def measure_recommendation(
    engine: Engine, case: Case, item: Item, effects: Sequence[EventEffect], random: np.random.Generator
) -> DeletionEffect:
    """Measure the loss of the first recommendation without some events.

    Args:
        engine: serves the release.
        case: the shopper.
        item: recommended first.
        effects: what the explanation says of the events.
        random: draws events.
    """
    whole = await score_item(engine, case, case.history, without_title(item))
    nearest = _order_by_similarity(engine, case.history, item)
    places = _explained_positions(case.history)
    found = DeletionEffect()

    async def lost(removed: Sequence[int]) -> tuple[float, float]:
        rest = _remove(case.history, removed)
        ten = {each.item_id for each in await recommend_items(engine, case, rest)}
        return whole - await score_item(engine, case, rest, without_title(item)), float(item.item_id not in ten)

    effect = {each.event.event_id: each.effect for each in effects}
    for size in SIZES:
        ways = _choose_removals(case.history, [each.event.event_id for each in effects][:size], random)
        ways["nearest"] = [[place for place in nearest if place in places][:size]]
        drops = {way: [await lost(removed) for removed in draws] for way, draws in ways.items()}
        found.by_size[size] = {way: float(np.mean([score for score, _ in of])) for way, of in drops.items()}
        found.left_ten[size] = {way: float(np.mean([left for _, left in of])) for way, of in drops.items()}
        if size > 1:
            for removed, (fell, _) in zip(ways["random"], drops["random"], strict=True):
                found.joint.append((sum(effect[case.history[place].event_id] for place in removed), fell))
    return found


async def measure_interest(engine: Engine, case: Case, random: np.random.Generator) -> DeletionEffect | None:
    """Measure the loss of the strongest interest that holds at most `MAX_ATTENTION_SHARE`; None if there is none."""

    async def interests(history: Sequence[Event]) -> Mapping[tuple[str, ...], tuple[float, tuple[str, ...]]]:
        profile = await compute_profile(engine, history, case.as_of, fields=frozenset({"interests"}), deadline=None)
        return {
            each.category_path: (each.weight, each.evidence_event_ids)
            for each in profile.interests
            if not each.inferred
        }

    known = await interests(case.history)
    path = next((path for path, (weight, _) in known.items() if weight <= MAX_ATTENTION_SHARE), None)
    if path is None:
        return None

    async def value(history: Sequence[Event]) -> float:
        return (await interests(history)).get(path, (0.0, ()))[0]

    explained = await explain_profile(engine, case.history, case.as_of, ProfilePart(path), deadline=None)
    latest = {case.history[place].event_id for place in _explained_positions(case.history)}
    evidence = [event_id for event_id in known[path][1] if event_id in latest]
    return await _measure_profile(case, explained.events, value, random, evidence)


async def measure_trait(engine: Engine, case: Case, name: str, random: np.random.Generator) -> DeletionEffect | None:
    """Measure the loss of a trait's probability; None if the shopper has no such trait."""

    async def value(history: Sequence[Event]) -> float | None:
        profile = await compute_profile(engine, history, case.as_of, fields=frozenset({"traits"}), deadline=None)
        return next(each.probability for each in profile.traits if each.trait.name == name)

    if await value(case.history) is None:
        return None
    explained = await explain_profile(engine, case.history, case.as_of, ProfilePart(trait=name), deadline=None)

    async def probability(history: Sequence[Event]) -> float:
        return await value(history) or 0.0

    return await _measure_profile(case, explained.events, probability, random)


async def _measure_profile(
    case: Case,
    effects: Sequence[EventEffect],
    value: Callable[[Sequence[Event]], Awaitable[float]],
    random: np.random.Generator,
    evidence: Sequence[str] = (),
) -> DeletionEffect:
    whole, found = await value(case.history), DeletionEffect()
    ids = {event.event_id: place for place, event in enumerate(case.history)}
    for size in SIZES:
        ways = _choose_removals(case.history, [each.event.event_id for each in effects][:size], random)
        if evidence:
            ways["evidence"] = [[ids[event_id] for event_id in evidence[:size]]]
        found.by_size[size] = {
            way: float(np.mean([whole - await value(_remove(case.history, removed)) for removed in draws]))
            for way, draws in ways.items()
        }
    return found


async def measure_words(
    engine: Engine, case: Case, item: Item, effects: Sequence[WordEffect], random: np.random.Generator
) -> DeletionEffect | None:
    """Measure the loss of an item without some words of its title; None if the title is short."""
    if len(effects) < MIN_WORDS:
        return None
    words, whole, found = (
        [each.word for each in effects],
        await score_item(engine, case, case.history, item),
        DeletionEffect(),
    )
    for size in SIZES:
        ways = {"cited": [words[:size]], "random": [_draw(words[size:], size, random) for _ in range(DRAWS)]}
        drops: Loss = {}
        for way, draws in ways.items():
            scores = [await score_item(engine, case, case.history, remove_words(item, removed)) for removed in draws]
            drops[way] = whole - float(np.mean(scores))
        found.by_size[size] = drops
    return found


def _choose_removals(
    history: Sequence[Event], cited: Sequence[str], random: np.random.Generator
) -> dict[str, list[list[int]]]:
    """Choose the positions of removed events by method: the cited ones, others at random, the latest."""
    places = _explained_positions(history)
    chosen = [place for place in places if history[place].event_id in set(cited)]
    others = [place for place in places if place not in chosen]
    size = len(cited)
    return {
        "cited": [chosen],
        "random": [_draw(others, size, random) for _ in range(DRAWS)],
        "latest": [places[-size:]],
    }


def _explained_positions(history: Sequence[Event]) -> list[int]:
    """Return the positions of the events that explanations cover."""
    return list(range(max(0, len(history) - MAX_EXPLAINED_EVENTS), len(history)))


def _draw(things: Sequence[T], size: int, random: np.random.Generator) -> list[T]:
    return [things[place] for place in random.choice(len(things), size, replace=False)]


def _remove(history: Sequence[Event], removed: Sequence[int]) -> list[Event]:
    gone = set(removed)
    return [event for place, event in enumerate(history) if place not in gone]


def _order_by_similarity(engine: Engine, history: Sequence[Event], item: Item) -> list[int]:
    """Order the positions of a history's events by similarity of their items to an item: a naive explanation."""
    release = engine.release
    rows = np.array([release.row_of(event) for event in history], dtype=np.int64)
    vectors = release.vectors[[*rows, release.items.row(DEFAULT_CATALOGUE, item.item_id)]].astype(np.float32)
    alike = np.where(rows < 0, -1.0, vectors[:-1] @ vectors[-1])
    return sorted(range(len(history)), key=lambda place: (-alike[place], -place))
