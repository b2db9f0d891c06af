"""The engine: histories, queries and items in, profiles and rankings out. It knows neither gRPC nor the stores."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features import release as files
from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType, Item
from portrait.features.histories import ENCODED_EVENTS, REMEMBERED_EVENTS
from portrait.features.statistics import of_history
from portrait.features.text import item_text
from portrait.server.batching.batcher import Batcher
from portrait.server.catalogues.catalogue import Catalogues, Shelves, Snapshot
from portrait.server.catalogues.described import CandidateSet, described
from portrait.server.catalogues.filters import Filter
from portrait.server.errors import NotFound
from portrait.server.fallback import Fallback
from portrait.server.inference.encoders import Ranker
from portrait.server.inference.shoppers import Shopper, ShopperEncoder
from portrait.server.inference.texts import TextEncoder
from portrait.server.inference.traits import TraitHeads
from portrait.server.inference.triton import TritonModels
from portrait.server.profiles.absence import Absence
from portrait.server.profiles.demographics import Demographics
from portrait.server.profiles.evidence import Evidence
from portrait.server.profiles.inferred import inferred_chance
from portrait.server.profiles.labels import Label, Seen, direction
from portrait.server.profiles.profile import NOT_SHOWN, Asked, Profile, build
from portrait.server.profiles.traits import TraitValue, values
from portrait.server.releases import Release
from portrait.server.retrieval.candidates import features, retrieve
from portrait.server.retrieval.unranked import scores, unranked
from portrait.server.triton.configuration import instances

Vector = NDArray[np.float32]

_SHORT_ROWS, _SHORT_EVENTS = 20_000, 600
"""Work over more rows or events than these goes to a thread, so that it does not hold up other requests."""


@dataclass(frozen=True, slots=True)
class Request:
    """What every ranking starts from."""

    history: Sequence[Event]
    """Oldest first, nothing later than `as_of`. Empty for an unknown shopper."""
    as_of: datetime
    catalogue: str = DEFAULT_CATALOGUE
    query: str = ""
    allow_degraded: bool = False
    """Whether an answer without the models is better than none."""


@dataclass(frozen=True, slots=True)
class RecommendRequest(Request):
    """Asks for the best items of a catalogue."""

    k: int = 10
    filter: Filter = field(default_factory=Filter)
    exclude_seen: bool = False


@dataclass(frozen=True, slots=True)
class RankRequest(Request):
    """Asks to order candidates. One with a title is ranked by its own words, else by what the catalogue holds."""

    candidates: Sequence[Item] = ()


@dataclass(frozen=True, slots=True)
class LabelQuestions:
    """Interests that nobody trained for."""

    words: Sequence[str] = ()
    examples: Sequence[tuple[str, Sequence[tuple[Sequence[Event], datetime]]]] = ()
    """Name and example shoppers of each: histories and the moments that they are for."""

    def __bool__(self) -> bool:
        return bool(self.words or self.examples)


_NO_LABELS = LabelQuestions()


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item at its place."""

    item: Item
    score: float
    click_probability: float
    purchase_probability: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranked items, the best first, and what ranked them."""

    items: list[RankedItem]
    release: int
    event_count: int
    """How many events of the history the ranking used."""
    degraded: bool = False
    """Whether the models had no part in it."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as vectors."""

    embeddings: Vector
    """`[texts, dimension]`, unit length."""
    release: int


class Engine:
    """Serves one release.

    Args:
        release: what is served.
        models: its graphs in Triton.
        catalogues: the release's items.
        text_cache_bytes: memory for embeddings of texts.
        text_instances: of the text encoder in Triton.
    """

    def __init__(
        self,
        release: Release,
        models: TritonModels,
        catalogues: Catalogues,
        text_cache_bytes: int,
        text_instances: int,
    ) -> None:
        self.release = release
        self.texts = TextEncoder(models, release, text_cache_bytes, text_instances)
        self._models = models
        self._catalogues = catalogues
        self._shoppers = ShopperEncoder(models, release, self.texts)
        self._ranker = Ranker(models)
        learnt = sum(not trait.absent for trait in release.traits)
        self._heads = TraitHeads(models, learnt) if learnt else None
        self.fallback = Fallback()

    @property
    def shelves(self) -> Shelves:
        """All catalogues as they are now."""
        return self._catalogues.now()

    @property
    def batchers(self) -> dict[str, Batcher[Any, Any]]:
        """What gathers the work of each graph."""
        return {
            "text_encoder": self.texts.batcher,
            "profile_encoder": self._shoppers.profiles.batcher,
            "ranker": self._ranker.batcher,
            **({files.TRAIT_HEADS: self._heads.batcher} if self._heads else {}),
        }

    @classmethod
    async def open(cls, repository: Path, release: int, triton_url: str, text_cache_bytes: int) -> "Engine":
        """Open a release whose graphs are loaded in a Triton.

        Args:
            repository: the model repository.
            release: its number.
            triton_url: host:port of Triton's gRPC endpoint.
            text_cache_bytes: memory for embeddings of texts.

        Raises:
            ReleaseError: the release is missing or damaged.
            TritonError: the text encoder has no configuration, or none that Triton knows.
        """
        loaded = await asyncio.to_thread(Release.load, repository, release)
        catalogues = await asyncio.to_thread(Catalogues, loaded)
        models = TritonModels(triton_url, release, files.models(repository, release))
        return cls(loaded, models, catalogues, text_cache_bytes, instances(repository, "text_encoder"))

    async def close(self) -> None:
        """Close the connection to Triton."""
        await self._models.close()

    async def ready(self) -> bool:
        """Whether Triton has all graphs of the release loaded."""
        return await self._models.ready()

    async def profile(
        self,
        history: Sequence[Event],
        as_of: datetime,
        *,
        fields: frozenset[str],
        deadline: float | None,
        labels: LabelQuestions = _NO_LABELS,
        allow_degraded: bool = False,
        declared: Demographics | Absence = NOT_SHOWN,
    ) -> Profile:
        """What a history says.

        Args:
            history: oldest first, nothing later than `as_of`.
            as_of: the moment of the profile.
            fields: names of the fields to compute. The models are asked for `embedding`, `label_interests` and
                `traits` only.
            deadline: `loop.time()` at which the caller's time is up; None if never.
            labels: what `label_interests` are of.
            allow_degraded: whether an earlier embedding, or none, and absent traits are better than no profile.
            declared: what the shopper declared, or why it is not shown. The models never see it.
        """
        shelves = self._catalogues.now()

        async def full(deadline: float | None) -> Asked:
            return await self._ask(history, as_of, shelves, labels, "traits" in fields, deadline)

        def spare() -> Asked:
            shopper = self._shoppers.remembered(history, "", as_of, shelves)
            known = shopper is not None and shopper.profile.any()
            embedding = shopper.profile if shopper is not None and known else None
            return Asked(embedding, degraded=True, traits=without_probabilities())

        def without_probabilities() -> Sequence[TraitValue]:
            return values(self.release.traits, None, history, as_of) if "traits" in fields else ()

        labels = labels if "label_interests" in fields else _NO_LABELS
        if not history or not ("embedding" in fields or "traits" in fields or labels):
            asked = Asked(traits=without_probabilities())
        else:
            asked = await (self.fallback.answer(full, spare, deadline) if allow_degraded else full(deadline))
        say = partial(build, history, as_of, shelves.item, self.release, fields, asked, declared)
        return say() if len(history) <= _SHORT_EVENTS else await asyncio.to_thread(say)

    async def inferred_chance(self, history: Sequence[Event], as_of: datetime, path: tuple[str, ...]) -> float:
        """The chance of an inferred interest, also where it is too small for the profile to tell of it.

        Args:
            history: oldest first, nothing later than `as_of`.
            as_of: the moment of the profile.
            path: the node of the taxonomy.
        """
        attention = self.release.population.attention if self.release.population else None
        if attention is None:
            return 0.0
        evidence = await asyncio.to_thread(Evidence.of, history, as_of, self.shelves.item, attention)
        return inferred_chance(evidence, self.release, attention, path)

    async def _ask(
        self,
        history: Sequence[Event],
        as_of: datetime,
        shelves: Shelves,
        labels: LabelQuestions,
        traits: bool,
        deadline: float | None,
    ) -> Asked:
        """What the models say of a shopper: the embedding, the traits, and the vectors of labels and latest events."""
        shopper = await self._shoppers.encode(history, "", as_of, shelves, deadline)
        told: Sequence[TraitValue] = ()
        if traits:
            probabilities = await self._probabilities(history, as_of, shopper.profile, deadline)
            told = values(self.release.traits, probabilities, history, as_of)
        if not labels:
            return Asked(shopper.profile, traits=told)
        vectors = await self.texts.encode(list(labels.words), deadline)
        found = [Label(words, vector, False) for words, vector in zip(labels.words, vectors, strict=True)]
        for name, examples in labels.examples:
            encoded = [self._shoppers.encode(events, "", moment, shelves, deadline) for events, moment in examples]
            alike = [example.profile for example in await asyncio.gather(*encoded)]
            found.append(Label(name, direction(alike, self.release.profiles), True))
        latest = [event for event in history if event.type is not EventType.REFUND][-ENCODED_EVENTS:]
        seen = Seen([event.event_id for event in latest], await self._shoppers.vectors(latest, shelves, deadline))
        return Asked(shopper.profile, labels=found, seen=seen, traits=told)

    async def _probabilities(
        self, history: Sequence[Event], as_of: datetime, embedding: Vector, deadline: float | None
    ) -> Vector | None:
        """Of the traits that the release has learnt; None if there are none, or the history has no times."""
        told = of_history(history, as_of) if self._heads else None
        if self._heads is None or told is None:
            return None
        return await self._heads.probabilities(embedding, told, deadline)

    async def recommend(self, request: RecommendRequest, *, deadline: float | None) -> Ranking:
        """The best items of a catalogue for a shopper.

        Args:
            request: what is asked for.
            deadline: `loop.time()` at which the caller's time is up; None if never.

        Raises:
            NotFound: there is no such catalogue.
        """
        if not request.allow_degraded:
            return await self._recommend(request, deadline)
        spare = partial(self._recommend_without_models, request)
        return await self.fallback.answer(partial(self._recommend, request), spare, deadline)

    async def _recommend(self, request: RecommendRequest, deadline: float | None) -> Ranking:
        catalogue, shelves = self._catalogues[request.catalogue].now, self._catalogues.now()
        shopper = await self._shoppers.encode(request.history, request.query, request.as_of, shelves, deadline)
        left_out = request.history if request.exclude_seen else ()
        arguments = (catalogue, shopper, request.k, request.filter, left_out)
        if len(catalogue) + len(left_out) <= _SHORT_ROWS:
            chosen = retrieve(*arguments)
        else:
            chosen = await asyncio.to_thread(retrieve, *arguments)
        return self._ranking(await self._ordered(chosen, shopper, request, request.k, deadline), request)

    def _recommend_without_models(self, request: RecommendRequest) -> Ranking | None:
        """None if nothing is known of the query: what does not answer it is no answer."""
        catalogue, shelves = self._catalogues[request.catalogue].now, self._catalogues.now()
        shopper = self._shoppers.remembered(request.history, request.query, request.as_of, shelves)
        if shopper is None:
            return None
        left_out = request.history if request.exclude_seen else ()
        chosen = unranked(catalogue, shopper, request.k, request.filter, left_out)
        ranked = [
            RankedItem(item, score, 0.0, 0.0)
            for item, score in zip(chosen.items, scores(chosen, catalogue, shopper).tolist(), strict=True)
        ]
        ranked.sort(key=lambda each: (-each.score, each.item.item_id))
        return self._ranking(ranked[: request.k], request, degraded=True)

    async def rank(self, request: RankRequest, *, deadline: float | None) -> Ranking:
        """The caller's candidates in order; those that nothing is known of come last, with zeros.

        Args:
            request: what is asked for.
            deadline: `loop.time()` at which the caller's time is up; None if never.

        Raises:
            NotFound: there is no such catalogue.
        """
        if not request.allow_degraded:
            return await self._rank(request, deadline)
        spare = partial(self._rank_without_models, request)
        return await self.fallback.answer(partial(self._rank, request), spare, deadline)

    async def _rank(self, request: RankRequest, deadline: float | None) -> Ranking:
        catalogue, shelves = self._catalogues[request.catalogue].now, self._catalogues.now()
        shopper = await self._shoppers.encode(request.history, request.query, request.as_of, shelves, deadline)
        known, unknown = await self._described(catalogue, request.candidates, deadline)
        ranked = await self._ordered(known, shopper, request, len(known.items), deadline)
        ranked.extend(RankedItem(item, 0.0, 0.0, 0.0) for item in unknown)
        return self._ranking(ranked, request)

    def _rank_without_models(self, request: RankRequest) -> Ranking:
        """Candidates of equal scores keep the caller's order, as do all if nothing is known of the query."""
        catalogue, shelves = self._catalogues[request.catalogue].now, self._catalogues.now()
        shopper = self._shoppers.remembered(request.history, request.query, request.as_of, shelves)
        score: dict[str, float] = {}
        if shopper is not None:
            rows = [row for item in request.candidates if (row := catalogue.row(item.item_id)) is not None]
            held = catalogue.take(np.array(rows, dtype=np.int64))
            score = dict(zip(held.item_ids, scores(held, catalogue, shopper).tolist(), strict=True))
        ranked = [
            RankedItem(
                item if item.title else catalogue.item(item.item_id) or item, score.get(item.item_id, 0.0), 0.0, 0.0
            )
            for item in request.candidates
        ]
        ranked.sort(key=lambda each: (each.item.item_id not in score, -each.score))
        return self._ranking(ranked, request, degraded=True)

    async def encode_texts(self, texts: Sequence[str], *, deadline: float | None) -> Encoded:
        """Encode texts.

        Args:
            texts: at least one.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        return Encoded(await self.texts.encode(texts, deadline), self.release.number)

    async def upsert_items(self, catalogue: str, items: Sequence[Item], *, deadline: float | None) -> None:
        """Add or replace items; they are recommendable when this returns. The first item makes a catalogue.

        Args:
            catalogue: its name.
            items: of two with one id the last counts.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        self._catalogues.begin(catalogue).upsert(await self._by_words(catalogue, items, deadline))

    def delete_items(self, catalogue: str, item_ids: Sequence[str]) -> int:
        """Remove items; returns how many were there.

        Raises:
            NotFound: there is no such catalogue.
        """
        return self._catalogues[catalogue].delete(item_ids)

    def get_item(self, catalogue: str, item_id: str) -> Item:
        """One item.

        Raises:
            NotFound: there is no such catalogue or item.
        """
        item = self._catalogues[catalogue].now.item(item_id)
        if item is None:
            raise NotFound("item_id", "the catalogue holds no such item")
        return item

    async def _described(
        self, catalogue: Snapshot, candidates: Sequence[Item], deadline: float | None
    ) -> tuple[CandidateSet, list[Item]]:
        """The candidates by their own words, or else as the catalogue holds them; and those it does not hold."""
        wordless = [item for item in candidates if not item.title]
        worded = [item for item in candidates if item.title]
        by_words = await self._by_words(catalogue.name, worded, deadline)
        held = [row for item in wordless if (row := catalogue.row(item.item_id)) is not None]
        unknown = [item for item in wordless if catalogue.row(item.item_id) is None]
        return by_words.joined(catalogue.take(np.array(held, dtype=np.int64))), unknown

    async def _by_words(self, catalogue: str, items: Sequence[Item], deadline: float | None) -> CandidateSet:
        """Items by their words; finding who lends to newcomers reads the whole release."""
        words = await self.texts.encode([item_text(item) for item in items], deadline)
        if len(self.release.items) * len(items) <= _SHORT_ROWS:
            return described(self.release, catalogue, items, words)
        return await asyncio.to_thread(described, self.release, catalogue, items, words)

    async def _ordered(
        self, chosen: CandidateSet, shopper: Shopper, request: Request, k: int, deadline: float | None
    ) -> list[RankedItem]:
        """The best `k` first; equal scores by item id. Other catalogues answer a query by nearness of words."""
        told = features(chosen, shopper, request.catalogue, request.as_of)
        scores = await self._ranker.score(shopper.profile, shopper.query, chosen.vectors, told, deadline)
        told_by_words = request.catalogue != DEFAULT_CATALOGUE and shopper.query.any()
        # The ranker has learnt how products answer queries. Of other catalogues it knows no event: there words decide.
        decides = chosen.vectors @ shopper.query if told_by_words else scores.score
        score, click, purchase = decides.tolist(), scores.click.tolist(), scores.purchase.tolist()
        least = np.partition(decides, -k)[-k] if k < len(score) else -math.inf
        contenders = np.flatnonzero(decides >= least).tolist()  # more than k if some tie with the last
        order = sorted(contenders, key=lambda place: (-score[place], chosen.item_ids[place]))
        return [RankedItem(chosen.items[place], score[place], click[place], purchase[place]) for place in order[:k]]

    def _ranking(self, items: list[RankedItem], request: Request, *, degraded: bool = False) -> Ranking:
        return Ranking(items, self.release.number, min(len(request.history), REMEMBERED_EVENTS), degraded)
