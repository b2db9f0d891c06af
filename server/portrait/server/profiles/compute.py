"""Profiling: what a history says, by a release."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Event, EventType, Item
from portrait.features.generators import run_to_completion
from portrait.features.histories.statistics import compute_history_statistics
from portrait.features.profiles.absence import Absence
from portrait.features.profiles.evidence import MAX_EXPLAINED_EVENTS, Evidence
from portrait.features.profiles.interests import compute_interest_weight
from portrait.server.catalogue.snapshot import CatalogueSnapshots
from portrait.server.demographics import Demographics
from portrait.server.engine import Engine
from portrait.server.profiles.inferred_interests import infer_probability
from portrait.server.profiles.label_interests import EncodedEvents, Label, compute_direction
from portrait.server.profiles.profile import DEMOGRAPHICS_DENIED, ModelOutputs, Profile, build_profile
from portrait.server.profiles.reviewed_statements import review_traits
from portrait.server.release.traits import TraitValue, values
from portrait.server.reviews.review_set import NO_REVIEWS, Reviews
from portrait.server.runtime.cooperation import run_in_groups, run_in_steps
from portrait.server.sensitivity.release_topics import PROFILE_USES, ReleaseTopics
from portrait.server.sensitivity.topic_file import DataUse

Vector = NDArray[np.float32]

MAX_INLINE_EVENTS = 128
"""A history of more is worked on in a thread, so that it does not hold up other requests."""
_MAX_INLINE_CHARACTERS = 8_192
"""So is one with longer queries in all: reading their words takes as long as events do."""
SENSITIVE = "it is of a sensitive topic that the operator has not allowed"
"""Why a trait of such a topic has no probability."""


@dataclass(frozen=True, slots=True)
class LabelQueries:
    """Interests that nobody trained for."""

    words: Sequence[str] = ()
    examples: Sequence[tuple[str, Sequence[tuple[Sequence[Event], datetime]]]] = ()
    """Name and example shoppers of each: histories and the moments that they are for."""

    def __bool__(self) -> bool:
        return bool(self.words or self.examples)


_NO_LABELS = LabelQueries()


async def compute_profile(
    engine: Engine,
    history: Sequence[Event],
    as_of: datetime,
    *,
    fields: frozenset[str],
    deadline: float | None,
    labels: LabelQueries = _NO_LABELS,
    allow_degraded: bool = False,
    declared: Demographics | Absence = DEMOGRAPHICS_DENIED,
    uses: frozenset[DataUse] = PROFILE_USES,
    min_age: int = 0,
    reviews: Reviews = NO_REVIEWS,
) -> Profile:
    """Compute the profile of a history, as if it lacked the events of topics that are withheld, or that are blocked.

    Args:
        engine: of the release that says it.
        history: oldest first, nothing later than `as_of`.
        as_of: the moment of the profile.
        fields: names of the fields to compute. The models are asked for `embedding`, `label_interests` and
            `traits` only.
        deadline: `loop.time()` at which the caller's time is up; None if never.
        labels: what `label_interests` are of.
        allow_degraded: whether an earlier embedding, or none, and absent traits are better than no profile.
        declared: what the shopper declared, or why it is not shown. The models never see it.
        uses: what the profile is for; a topic that is not allowed for all of them is withheld.
        min_age: the shopper is at least so old, by declaration; 0 if nothing is declared.
        reviews: those that may hold for the shopper.
    """
    topics, snapshots = engine.topics, engine.snapshots
    withheld = topics.policy.find_withheld(uses, min_age)
    usable = await topics.select_usable(history, snapshots, withheld)
    history, reviewed = await reviews.apply(usable, snapshots.item)
    labels = await _withhold_examples(topics, snapshots, labels, uses) if "label_interests" in fields else _NO_LABELS
    outputs = await run_models(
        engine, history, as_of, fields=fields, deadline=deadline, labels=labels, allow_degraded=allow_degraded
    )
    traits = review_traits(outputs.traits, reviewed) if reviewed else outputs.traits
    outputs = replace(outputs, traits=_withhold_traits(topics, traits, withheld))
    work = build_profile(
        history, as_of, snapshots.item, engine.release, fields, outputs, declared,
        is_withheld=lambda path: bool(topics.judge_path(path) & withheld), reviews=reviewed,
    )  # fmt: skip
    return run_to_completion(work) if _is_short(history) else await run_in_steps(work)


def _withhold_traits(topics: ReleaseTopics, traits: Sequence[TraitValue], withheld: int) -> list[TraitValue]:
    """Take the probability from each trait of a withheld topic."""
    return [
        replace(each, probability=None, absent=SENSITIVE) if topics.judge_trait(each.trait.name) & withheld else each
        for each in traits
    ]


async def _withhold_examples(
    topics: ReleaseTopics, snapshots: CatalogueSnapshots, labels: LabelQueries, uses: frozenset[DataUse]
) -> LabelQueries:
    """Take the events of withheld topics from the examples of labels, each once; nobody's age is asked for."""
    withheld = topics.policy.find_withheld(uses, 0)
    distinct = {id(example): example for _, examples in labels.examples for example in examples}
    usable = {
        key: (await topics.select_usable(events, snapshots, withheld), moment)
        for key, (events, moment) in distinct.items()
    }
    return replace(labels, examples=[(name, [usable[id(each)] for each in those]) for name, those in labels.examples])


def _is_short(history: Sequence[Event]) -> bool:
    """Tell whether a history is so little work that a thread for it would take longer."""
    if len(history) > MAX_INLINE_EVENTS:
        return False
    return sum(len(event.query or "") for event in history) <= _MAX_INLINE_CHARACTERS


async def run_models(
    engine: Engine,
    history: Sequence[Event],
    as_of: datetime,
    *,
    fields: frozenset[str],
    deadline: float | None,
    labels: LabelQueries = _NO_LABELS,
    allow_degraded: bool = False,
) -> ModelOutputs:
    """Run the models on a history, without the other fields of a profile; see `compute_profile`."""
    snapshots = engine.snapshots

    async def full(deadline: float | None) -> ModelOutputs:
        return await _run_models(engine, history, as_of, snapshots, labels, "traits" in fields, deadline)

    def spare() -> ModelOutputs:
        shopper = engine.shoppers.encode_cached(history, "", as_of, snapshots)
        known = shopper is not None and shopper.profile.any()
        embedding = shopper.profile if shopper is not None and known else None
        return ModelOutputs(embedding, degraded=True, traits=without_probabilities())

    def without_probabilities() -> Sequence[TraitValue]:
        return values(engine.release.traits, None, history, as_of) if "traits" in fields else ()

    if not history or not ("embedding" in fields or "traits" in fields or labels):
        return ModelOutputs(traits=without_probabilities())
    return await (engine.fallback.answer(full, spare, deadline) if allow_degraded else full(deadline))


class InterestCounterfactual:
    """Says what one interest is without some events of a history, however often it is asked.

    Args:
        engine: of the release that says it.
        history: oldest first, nothing later than `as_of`.
        as_of: the moment of the profile.
        path: the node of the taxonomy.
        inferred: whether it is the chance of an inferred interest, also where it is too small for the profile to tell
            of it, else the weight of an observed one as the profile has it.
    """

    def __init__(
        self, engine: Engine, history: Sequence[Event], as_of: datetime, path: tuple[str, ...], *, inferred: bool
    ) -> None:
        population = engine.release.population
        self._release, self._attention = engine.release, population.interest_dynamics if population else None
        self._history, self._as_of = history, as_of
        self._path, self._inferred = path, inferred
        self._item = _cache_items(engine.snapshots.item)
        self._whole: Evidence | None = None

    async def compute_weight(self, kept: Sequence[Event], removed: Sequence[Event]) -> float:
        """Compute the weight or the chance.

        Args:
            kept: the history without `removed`.
            removed: events of the history.
        """
        return await run_in_steps(self._work(kept, removed))

    def _work(self, kept: Sequence[Event], removed: Sequence[Event]) -> Generator[None, None, float]:
        if self._whole is None:
            self._whole = self._weigh(self._history)
            yield
        evidence = self._whole.without(removed)
        if evidence is None:
            evidence = self._weigh(kept)
        yield
        if not self._inferred:
            return compute_interest_weight(evidence, self._path)
        if self._attention is None:
            return 0.0
        return infer_probability(evidence, self._release, self._attention, self._path)

    def _weigh(self, history: Sequence[Event]) -> Evidence:
        return Evidence.from_history(history, self._as_of, self._item, self._attention)


def _cache_items(item: Callable[[Event], Item | None]) -> Callable[[Event], Item | None]:
    """Looks each item up once, however many events are of it."""
    known: dict[tuple[str, str | None], Item | None] = {}

    def look_up(event: Event) -> Item | None:
        key = event.catalogue, None if event.type is EventType.SEARCH else event.item_id
        if key not in known:
            known[key] = item(event)
        return known[key]

    return look_up


async def _run_models(
    engine: Engine,
    history: Sequence[Event],
    as_of: datetime,
    snapshots: CatalogueSnapshots,
    labels: LabelQueries,
    traits: bool,
    deadline: float | None,
) -> ModelOutputs:
    """Run the models: compute the embedding, the traits, and the vectors of labels and latest events."""
    shopper = await engine.shoppers.encode(history, "", as_of, snapshots, deadline)
    told: Sequence[TraitValue] = ()
    if traits:
        probabilities = await _predict_traits(engine, history, as_of, shopper.profile, deadline)
        told = values(engine.release.traits, probabilities, history, as_of)
    if not labels:
        return ModelOutputs(shopper.profile, traits=told)
    vectors = await engine.texts.encode(list(labels.words), deadline)
    found = [Label(words, vector, False) for words, vector in zip(labels.words, vectors, strict=True)]

    async def profile(example: tuple[Sequence[Event], datetime]) -> Vector:
        events, moment = example
        return (await engine.shoppers.encode(events, "", moment, snapshots, deadline)).profile

    # Labels may share examples: each is encoded once. They are told apart by where they were read.
    distinct = {id(example): example for _, examples in labels.examples for example in examples}
    profiles = dict(zip(distinct, await run_in_groups(profile, list(distinct.values())), strict=True))
    for name, examples in labels.examples:
        alike = [profiles[id(example)] for example in examples]
        found.append(Label(name, compute_direction(alike, engine.release.profiles), True))
    latest = [event for event in history if event.type is not EventType.REFUND][-MAX_EXPLAINED_EVENTS:]
    seen = EncodedEvents(
        [event.event_id for event in latest], await engine.shoppers.vectors(latest, snapshots, deadline)
    )
    return ModelOutputs(shopper.profile, labels=found, encoded_events=seen, traits=told)


async def _predict_traits(
    engine: Engine, history: Sequence[Event], as_of: datetime, embedding: Vector, deadline: float | None
) -> Vector | None:
    """Predict the traits that the release has learnt; None if there are none, or the history has no times."""
    statistics = compute_history_statistics(history, as_of) if engine.heads else None
    if engine.heads is None or statistics is None:
        return None
    return await engine.heads.probabilities(embedding, statistics, deadline)
