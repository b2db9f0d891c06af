"""Explanations by counterfactuals: a value minus the same value without one event or one word.

Nothing is approximated: the same models answer again for each history that lacks an event, which the batcher gathers
into few runs. As leave-one-out does, it sees no effect of an event that others stand in for: so all events of one item
are left out together too.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Event, EventType, Item
from portrait.features.profiles.evidence import MAX_EXPLAINED_EVENTS
from portrait.features.text.keywords import extract_keywords, remove_word
from portrait.server.catalogue.snapshot import CatalogueSnapshots
from portrait.server.engine import Engine
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import NotFound
from portrait.server.profiles.compute import InterestCounterfactual, compute_profile, run_models
from portrait.server.profiles.profile import ModelOutputs, Profile
from portrait.server.profiles.reviewed_statements import BLOCKED
from portrait.server.recommendation.ranking import RankedItem, Ranking, RankRequest, rank
from portrait.server.recommendation.withholding import select_usable
from portrait.server.reviews.review import ReviewAction, SubjectKind
from portrait.server.reviews.review_set import NO_REVIEWS, Reviews, ReviewSet
from portrait.server.runtime.cooperation import run_in_groups, run_in_steps
from portrait.server.sensitivity.release_topics import EXPLANATION_USES, PROFILE_USES

MAX_WORDS = 64
"""Words of a title that are left out in turn."""
_REMOVALS_PER_WEIGHING = 16
"""So many events are passed over in the time of weighing one."""


@dataclass(frozen=True, slots=True)
class EventEffect:
    """The effect of one event on the explained value."""

    event: Event
    subject: str
    """Title of its item, or its id where no catalogue holds it; the query of a search."""
    effect: float
    """With it, minus without it."""


@dataclass(frozen=True, slots=True)
class ItemEffect:
    """The joint effect of all events of one item: larger than each alone where the events substitute one another."""

    subject: str
    """Its title, or its id where no catalogue holds it."""
    events: list[Event]
    """Two or more of the latest `MAX_EXPLAINED_EVENTS`, oldest first."""
    effect: float
    """With them, minus without them."""


@dataclass(frozen=True, slots=True)
class WordEffect:
    """The effect of one word of a title on a score."""

    word: str
    effect: float
    """With it, minus without it."""


@dataclass(frozen=True, slots=True)
class RankingExplanation:
    """The explanation of an item's score."""

    ranked_item: RankedItem
    events: list[EventEffect]
    """Effects of the latest `ENCODED_EVENTS` events, the largest first."""
    items: list[ItemEffect]
    """Effects of the items with several of these events, the largest first."""
    words: list[WordEffect]
    release: int
    event_count: int


@dataclass(frozen=True, slots=True)
class ProfilePart:
    """The part of a profile to explain: an interest, a trait or, if neither is given, the embedding."""

    interest: tuple[str, ...] = ()
    """A node of the taxonomy."""
    trait: str = ""
    """A name."""


@dataclass(frozen=True, slots=True)
class ProfileExplanation:
    """The events that a profile, or a part of it, is based on."""

    events: list[EventEffect]
    """Effects of the latest `ENCODED_EVENTS` events, the largest first."""
    items: list[ItemEffect]
    """Effects of the items with several of these events, the largest first."""
    weight: float
    """Weight of the observed interest; 0 if anything else is explained."""
    probability: float | None
    """Probability of the trait or the inferred interest; None if anything else is explained."""
    release: int
    event_count: int
    reviewed_by: str = ""
    """Name of the person who reviewed the part: the profile states the reviewed value; this explains it without."""


async def explain_recommendation(
    engine: Engine, request: RankRequest, item: Item, *, deadline: float | None
) -> RankingExplanation:
    """Explain the score of an item for a shopper.

    Args:
        engine: ranks; the one engine answers all.
        request: for whom; its candidates are not looked at.
        item: of the request's catalogue.
        deadline: `loop.time()` at which the caller's time is up; None if never.

    Raises:
        FailedPrecondition: the item is of a topic that may not be explained to the shopper.
    """
    topics, snapshots = engine.topics, engine.snapshots
    withheld = topics.policy.find_withheld(EXPLANATION_USES, request.min_age)
    topics.require_open([("item_id", topics.judge_item(item))], withheld)
    # The score is that of the model, from the events that sensitive topics and reviews leave. These alone tell which
    # segments the shopper belongs to, too.
    history, reviewed = await select_usable(engine, request.history, request.min_age, request.reviews)
    request = replace(request, history=history, reviews=NO_REVIEWS)
    reviewed_by = reviewed.name_reviewer(SubjectKind.ITEM, request.catalogue, item.item_id)

    async def ranking(history: Sequence[Event], *candidates: Item) -> Ranking:
        return await rank(engine, replace(request, history=history, candidates=candidates), deadline=deadline)

    async def score(history: Sequence[Event], _: Sequence[Event]) -> float:
        return (await ranking(history, Item(item.item_id, ""))).items[0].score

    whole = await ranking(request.history, Item(item.item_id, ""))
    events, items = await _compute_effects(engine, request.history, whole.items[0].score, score)

    def is_open(event: Event) -> bool:
        return not topics.judge_event(event, snapshots) & withheld

    return RankingExplanation(
        ranked_item=replace(whole.items[0], reviewed_by=reviewed_by),
        events=[each for each in events if is_open(each.event)],
        items=[each for each in items if all(map(is_open, each.events))],
        words=await _explain_words(item, lambda *candidates: ranking(request.history, *candidates)),
        release=whole.release,
        event_count=whole.event_count,
    )


async def _explain_words(item: Item, ranking: Callable[..., Awaitable[Ranking]]) -> list[WordEffect]:
    """Measure how much each word of a title adds to the score: the item is ranked by the remaining words."""
    rests = await run_in_steps(_remove_words_in_turn(item))
    if not rests:
        return []
    scores = {ranked.item.title: ranked.score for ranked in (await ranking(item, *rests.values())).items}
    effects = [WordEffect(word, scores[item.title] - scores[rest.title]) for word, rest in rests.items()]
    return sorted(effects, key=lambda each: -each.effect)


def _remove_words_in_turn(item: Item) -> Generator[None, None, dict[str, Item]]:
    """Remove each word of an item's title in turn; a word whose removal leaves no title is skipped."""
    rests = {}
    for word in list(dict.fromkeys(word.surface for word in extract_keywords(item.title)))[:MAX_WORDS]:
        yield
        if (rest := remove_words(item, [word])).title:
            rests[word] = rest
    return rests


def remove_words(item: Item, words: Sequence[str]) -> Item:
    """An item whose title, brand and attributes lack some words.

    Its category stays: it says more of an item than words do, as which prices are usual.
    """

    def rest(text: str) -> str:
        return reduce(remove_word, words, text)

    attributes = {key: rest(value) for key, value in item.attributes.items()}
    return replace(item, title=rest(item.title), brand=rest(item.brand or "") or None, attributes=attributes)


async def explain_profile(
    engine: Engine,
    history: Sequence[Event],
    as_of: datetime,
    part: ProfilePart,
    *,
    deadline: float | None,
    min_age: int = 0,
    reviews: Reviews = NO_REVIEWS,
) -> ProfileExplanation:
    """Explain a profile or a part of it, as the events say that reviews leave.

    Args:
        engine: computes profiles.
        history: oldest first, nothing later than `as_of`.
        as_of: the moment of the profile.
        part: what of it.
        deadline: `loop.time()` at which the caller's time is up; None if never.
        min_age: the shopper is at least so old, by declaration; 0 if nothing is declared.
        reviews: those that may hold for the shopper.

    Raises:
        NotFound: the profile does not say what is to be explained.
    """
    topics, uses = engine.topics, PROFILE_USES | EXPLANATION_USES
    withheld = topics.policy.find_withheld(uses, min_age)
    usable = await topics.select_usable(history, engine.snapshots, withheld)
    history, reviewed = await reviews.apply(usable, engine.snapshots.item)
    reviewed_by = _find_reviewer(part, reviewed)
    fields = frozenset({"traits" if part.trait else "interests" if part.interest else "embedding"})

    whole = await compute_profile(engine, history, as_of, fields=fields, deadline=deadline, uses=uses, min_age=min_age)
    read = _make_reader(whole, part)
    inferred = any(each.inferred for each in whole.interests if each.category_path == part.interest)

    interest = InterestCounterfactual(engine, history, as_of, part.interest, inferred=inferred)

    async def asked(kept: Sequence[Event], _: Sequence[Event]) -> float:
        return read(await run_models(engine, kept, as_of, fields=fields, deadline=deadline))

    said = interest.compute_weight if part.interest else asked
    value = await interest.compute_weight(history, ()) if inferred else read(whole)
    chance = inferred or bool(part.trait)
    events, items = await _compute_effects(engine, history, value, said)
    return ProfileExplanation(
        events=events,
        items=items,
        weight=value if part.interest and not chance else 0.0,
        probability=value if chance else None,
        release=whole.release,
        event_count=whole.event_count,
        reviewed_by=reviewed_by,
    )


def _find_reviewer(part: ProfilePart, reviews: ReviewSet) -> str:
    """Find who reviewed a part of a profile; empty if nobody did.

    Raises:
        NotFound: it is blocked.
    """
    if part.interest and reviews.blocks_interest(part.interest):
        raise NotFound("interest", BLOCKED, ErrorReason.INTEREST_UNKNOWN)
    names = (part.trait,) if part.trait else part.interest
    review = reviews.find(SubjectKind.TRAIT if part.trait else SubjectKind.INTEREST, *names)
    if review is not None and review.action is ReviewAction.BLOCK:
        raise NotFound("trait", f"the profile has no probability of it: {BLOCKED}", ErrorReason.TRAIT_ABSENT)
    return review.reviewed_by if review else ""


def _make_reader(whole: Profile, part: ProfilePart) -> Callable[[Profile | ModelOutputs], float]:
    """Make a function that reads the explained value of a profile; 0 if the profile lacks it.

    Raises:
        NotFound: the whole one does not either.
    """
    if part.trait:
        trait = next((each for each in whole.traits if each.trait.name == part.trait), None)
        if trait is None:
            raise NotFound("trait", "the release declares no trait of this name", ErrorReason.TRAIT_UNKNOWN)
        if trait.absent:
            raise NotFound("trait", f"the profile has no probability of it: {trait.absent}", ErrorReason.TRAIT_ABSENT)
        return partial(_read_probability, part.trait)
    if not part.interest:
        return lambda profile: _compute_cosine(whole.embedding, profile.embedding)
    if all(each.category_path != part.interest for each in whole.interests):
        raise NotFound(
            "interest", "the profile has no interest in this node of the taxonomy", ErrorReason.INTEREST_UNKNOWN
        )
    return partial(_read_weight, part.interest)


def _read_probability(trait: str, profile: Profile | ModelOutputs) -> float:
    return next(each.probability or 0.0 for each in profile.traits if each.trait.name == trait)


def _read_weight(path: tuple[str, ...], profile: Profile | ModelOutputs) -> float:
    interests = profile.interests if isinstance(profile, Profile) else ()
    return next((each.weight for each in interests if each.category_path == path), 0.0)


async def _compute_effects(
    engine: Engine,
    history: Sequence[Event],
    whole: float,
    value: Callable[[Sequence[Event], Sequence[Event]], Awaitable[float]],
) -> tuple[list[EventEffect], list[ItemEffect]]:
    """Compute the effect of each of the latest events and of each item with several of them, the largest first.

    Args:
        engine: knows the items.
        history: oldest first.
        whole: the value of the history.
        value: what is explained, of the events that are kept; the others are the second argument.
    """
    snapshots, latest, several = engine.snapshots, _list_latest(history), _group_repeated(history)
    removals = _list_removals(history)
    before = history[: latest.start]

    async def rest(removed: set[int]) -> float:
        kept = [*before, *(history[place] for place in latest if place not in removed)]
        return await value(kept, [history[place] for place in removed])

    rests = await run_in_groups(rest, removals)
    effects = [whole - rest for rest in rests]
    events = [
        EventEffect(history[place], _name_subject(history[place], snapshots), effect)
        for place, effect in zip(latest, effects[: len(latest)], strict=True)
    ]
    items = [
        ItemEffect(_name_subject(history[places[0]], snapshots), [history[place] for place in places], effect)
        for places, effect in zip(several, effects[len(latest) :], strict=True)
    ]
    return sorted(events, key=lambda each: -each.effect), sorted(items, key=lambda each: -each.effect)


def count_histories(history: Sequence[Event]) -> int:
    """Count the histories that an explanation evaluates: the whole one, and one for each removal."""
    return 1 + len(_list_removals(history))


def count_weighed_events(engine: Engine, history: Sequence[Event]) -> int:
    """Count the events that are weighed, again for each removal, until an interest is explained.

    To leave events out of what was weighed costs a small part of weighing the others again.
    """
    population = engine.release.population
    in_days = (
        population is None or population.interest_dynamics is None or population.interest_dynamics.by_time is not None
    )
    again = not in_days or any(event.time is None for event in history)
    refunded = {(event.item_id, event.catalogue) for event in history if event.type is EventType.REFUND}
    weighed = 0
    for removed in _list_removals(history):
        touched = any((history[place].item_id, history[place].catalogue) in refunded for place in removed)
        weighed += len(history) if again or touched else len(history) // _REMOVALS_PER_WEIGHING
    return weighed


def _list_removals(history: Sequence[Event]) -> list[set[int]]:
    """Places of what is left out in turn: each of the latest events, and all of each item that several are of."""
    return [*({place} for place in _list_latest(history)), *map(set, _group_repeated(history))]


def _list_latest(history: Sequence[Event]) -> range:
    """Places of the events that are left out one by one."""
    return range(max(0, len(history) - MAX_EXPLAINED_EVENTS), len(history))


def _group_repeated(history: Sequence[Event]) -> list[list[int]]:
    """Places of those events, by item, of each item that several of them are of."""
    by_item: dict[tuple[str, str | None], list[int]] = {}
    for place in _list_latest(history):
        if history[place].type is not EventType.SEARCH:
            by_item.setdefault((history[place].catalogue, history[place].item_id), []).append(place)
    return [places for places in by_item.values() if len(places) > 1]


def _name_subject(event: Event, snapshots: CatalogueSnapshots) -> str:
    if event.type is EventType.SEARCH:
        return event.query or ""
    item = snapshots.item(event)
    return item.title if item else event.item_id or ""


def _compute_cosine(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> float:
    """Compute the cosine of unit vectors; 0 if one is missing, as for an empty history."""
    return 0.0 if one is None or other is None else float(one @ other)
