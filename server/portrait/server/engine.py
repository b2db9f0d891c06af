"""The engine: histories, queries and items in, profiles and rankings out. It knows neither gRPC nor the stores."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.features import histories
from portrait.features.candidates import FAMILIAR, RETRIEVED, candidate_features, memory
from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType, Item
from portrait.features.text import item_text, normalise_text, query_text
from portrait.server.catalogue import CandidateSet, Catalogue, Filter, Snapshot
from portrait.server.errors import NotFound
from portrait.server.inference.encoders import ProfileEncoder, Ranker, Scores
from portrait.server.inference.texts import TextEncoder
from portrait.server.inference.triton import TritonModels
from portrait.server.profiles.profile import Profile, build
from portrait.server.releases import Release
from portrait.server.retrieval.exact import best

_SHORT_WORK_ROWS = 20_000
"""Work over more rows than this goes to a thread, so that it does not hold up other requests."""


@dataclass(frozen=True, slots=True)
class Request:
    """What every ranking starts from."""

    history: Sequence[Event]
    """Oldest first, nothing later than `as_of`. Empty for an unknown shopper."""
    as_of: datetime
    catalogue: str = DEFAULT_CATALOGUE
    query: str = ""


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


@dataclass(frozen=True)
class _Shopper:
    """A history as the models see it."""

    profile: NDArray[np.float32]
    """`[dimension]`; zeros without history and query."""
    query: NDArray[np.float32]
    """`[dimension]`; zeros without a query."""
    history: Sequence[Event]
    percentiles: NDArray[np.float64]
    """`[events]`: price percentile of each event, NaN if unknown."""


class Engine:
    """Serves one release.

    Args:
        release: what is served.
        models: its graphs in Triton.
        text_cache_bytes: memory for embeddings of texts.
    """

    def __init__(self, release: Release, models: TritonModels, text_cache_bytes: int) -> None:
        self.release = release
        self.models = models
        self.texts = TextEncoder(models, release, text_cache_bytes)
        self._profiles = ProfileEncoder(models, release)
        self._ranker = Ranker(models)
        self._catalogues = {DEFAULT_CATALOGUE: Catalogue(DEFAULT_CATALOGUE, release)}

    @classmethod
    async def open(cls, repository: Path, release: int, triton_url: str, text_cache_bytes: int) -> "Engine":
        """Open a release whose graphs are loaded in a Triton.

        Raises:
            ReleaseError: the release is missing or damaged.
        """
        loaded = await asyncio.to_thread(Release.load, repository, release)
        return cls(loaded, TritonModels(triton_url, release), text_cache_bytes)

    async def close(self) -> None:
        """Close the connection to Triton."""
        await self.models.close()

    async def ready(self) -> bool:
        """Whether Triton has all graphs of the release loaded."""
        return await self.models.ready()

    async def profile(
        self, history: Sequence[Event], as_of: datetime, *, embed: bool, deadline: float | None
    ) -> Profile:
        """What a history says.

        Args:
            history: oldest first, nothing later than `as_of`.
            as_of: the moment of the profile.
            embed: compute the embedding as well; without it, nothing is asked of the models.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        catalogue = self._catalogues[DEFAULT_CATALOGUE].snapshot()
        embedding = (await self._shopper(history, "", as_of, deadline)).profile if embed else None
        return await asyncio.to_thread(build, history, as_of, catalogue.item, self.release, embedding)

    async def recommend(self, request: RecommendRequest, *, deadline: float | None) -> Ranking:
        """The best items of a catalogue for a shopper.

        Raises:
            NotFound: there is no such catalogue.
        """
        catalogue = self._catalogue(request.catalogue).snapshot()
        shopper = await self._shopper(request.history, request.query, request.as_of, deadline)
        if len(catalogue) > _SHORT_WORK_ROWS:
            rows = await asyncio.to_thread(_candidates, catalogue, shopper, request)
        else:
            rows = _candidates(catalogue, shopper, request)
        ranked = await self._rank(catalogue.take(rows), shopper, request, deadline)
        return Ranking(ranked[: request.k], self.release.number, len(request.history))

    async def rank(self, request: RankRequest, *, deadline: float | None) -> Ranking:
        """The caller's candidates in order; those that nothing is known of come last, with zeros.

        Raises:
            NotFound: there is no such catalogue.
        """
        catalogue = self._catalogue(request.catalogue).snapshot()
        shopper = await self._shopper(request.history, request.query, request.as_of, deadline)
        rows = [catalogue.row(item.item_id) for item in request.candidates]
        places = [place for place, row in enumerate(rows) if row is not None or request.candidates[place].title]
        chosen = await self._with_own_words(
            catalogue.take(np.array([rows[place] or 0 for place in places], dtype=np.int64)),
            [request.candidates[place] for place in places],
            [rows[place] is not None for place in places],
            deadline,
        )
        ranked = await self._rank(chosen, shopper, request, deadline)
        unknown = [item for place, item in enumerate(request.candidates) if place not in set(places)]
        ranked.extend(RankedItem(item, 0.0, 0.0, 0.0) for item in unknown)
        return Ranking(ranked, self.release.number, len(request.history))

    async def upsert_items(self, catalogue: str, items: Sequence[Item], *, deadline: float | None) -> None:
        """Add or replace items; they are recommendable when this returns. The first item makes a catalogue."""
        vectors = await self.texts.encode([item_text(item) for item in items], deadline)
        if catalogue not in self._catalogues:
            self._catalogues[catalogue] = Catalogue(catalogue, self.release)
        self._catalogues[catalogue].upsert(items, vectors)

    def delete_items(self, catalogue: str, item_ids: Sequence[str]) -> int:
        """Remove items; returns how many were there.

        Raises:
            NotFound: there is no such catalogue.
        """
        return self._catalogue(catalogue).delete(item_ids)

    def get_item(self, catalogue: str, item_id: str) -> Item:
        """One item.

        Raises:
            NotFound: there is no such catalogue or item.
        """
        item = self._catalogue(catalogue).snapshot().item(item_id)
        if item is None:
            raise NotFound("item_id", "the catalogue holds no such item")
        return item

    def _catalogue(self, name: str) -> Catalogue:
        try:
            return self._catalogues[name]
        except KeyError:
            raise NotFound("catalogue", "there is no such catalogue") from None

    async def _shopper(self, history: Sequence[Event], query: str, as_of: datetime, deadline: float | None) -> _Shopper:
        """Encode a history; a query is one more search, made now, so that the profile is of a shopper who asks."""
        asked = Event("", EventType.SEARCH, as_of, query=query) if normalise_text(query) else None
        latest = [*history[-histories.REMEMBERED_EVENTS :], *([asked] if asked else [])]
        catalogue = self._catalogues[DEFAULT_CATALOGUE].snapshot()
        columns = histories.columns_of(latest, lambda event: _percentile(self.release, catalogue, event))
        seen = latest[-histories.ENCODED_EVENTS :]
        nothing = np.zeros(self.release.dimension, dtype=np.float32)
        if not seen:
            return _Shopper(nothing, nothing, latest, columns.price_percentile)
        embeddings = await self._event_vectors(catalogue, seen, deadline)
        # Ages count back to now only if the events have times; an inline history may have none.
        arrays = histories.encode(columns, as_of)
        profile = await self._profiles.encode(embeddings, arrays, deadline)
        return _Shopper(profile, embeddings[-1] if asked else nothing, latest, columns.price_percentile)

    async def _event_vectors(
        self, catalogue: Snapshot, events: Sequence[Event], deadline: float | None
    ) -> NDArray[np.float32]:
        """`[events, dimension]`: the query's embedding for a search, else the item's vector, zero if unknown."""
        vectors = np.zeros((len(events), self.release.dimension), dtype=np.float32)
        searches = {place: text for place, event in enumerate(events) if (text := query_text(event))}
        if searches:
            vectors[list(searches)] = await self.texts.encode(list(searches.values()), deadline)
        for place, event in enumerate(events):
            row = catalogue.row(event.item_id) if event.item_id is not None else None
            if row is not None:
                vectors[place] = catalogue.vector(row)
        return vectors

    async def _with_own_words(
        self, held: CandidateSet, given: list[Item], is_held: list[bool], deadline: float | None
    ) -> CandidateSet:
        """Candidates by the words that the caller gave, where it gave a title."""
        worded = [place for place, item in enumerate(given) if item.title]
        vectors, popularity, percentile = held.vectors.copy(), held.popularity.copy(), held.percentile.copy()
        vectors[worded] = await self.texts.encode([item_text(given[place]) for place in worded], deadline)
        for place in worded:
            percentile[place] = self.release.price_scale.percentile(given[place].category_path, given[place].price)
            popularity[place] = popularity[place] if is_held[place] else 0.0
        items = [item if item.title else held.items[place] for place, item in enumerate(given)]
        return CandidateSet(items, vectors, popularity, percentile)

    async def _rank(
        self, chosen: CandidateSet, shopper: _Shopper, request: Request, deadline: float | None
    ) -> list[RankedItem]:
        """Candidates in order, the best first; equal scores by item id."""
        remembered = memory(
            [event.item_id if event.type is not EventType.SEARCH else None for event in shopper.history],
            [event.time.timestamp() if event.time else math.nan for event in shopper.history],
            shopper.percentiles,
        )
        features = candidate_features(
            [item.item_id for item in chosen.items],
            chosen.popularity,
            chosen.percentile,
            remembered,
            request.as_of.timestamp(),
            has_query=bool(normalise_text(request.query)),
        )
        scores = await self._ranker.score(shopper.profile, shopper.query, chosen.vectors, features, deadline)
        return _ordered(chosen.items, scores)


def _percentile(release: Release, catalogue: Snapshot, event: Event) -> float:
    item = catalogue.item(event.item_id) if event.item_id is not None and event.price is not None else None
    return release.price_scale.percentile(item.category_path, event.price) if item else math.nan


def _candidates(catalogue: Snapshot, shopper: _Shopper, request: RecommendRequest) -> NDArray[np.int64]:
    """Rows to rank: the nearest to profile and query, and what the shopper knows; the popular ones for nobody."""
    allowed = catalogue.allowed(request.filter)
    known = [row for event in reversed(shopper.history) if (row := catalogue.row(event.item_id or "")) is not None]
    familiar = np.array(list(dict.fromkeys(known)), dtype=np.int64)
    if request.exclude_seen and len(familiar):
        allowed[familiar] = False
    wanted = max(RETRIEVED, request.k)
    asked = [vector for vector in (shopper.profile, shopper.query) if vector.any()]
    parts = [best(catalogue.scores(vector), wanted, allowed) for vector in asked]
    if not parts:
        parts = [best(catalogue.popularity, wanted, allowed)]
    elif len(familiar) and not request.exclude_seen:
        parts.append(familiar[allowed[familiar]][:FAMILIAR])
    return np.unique(np.concatenate(parts))


def _ordered(items: Sequence[Item], scores: Scores) -> list[RankedItem]:
    ranked = [
        RankedItem(item, score, click, purchase)
        for item, score, click, purchase in zip(
            items, scores.score.tolist(), scores.click.tolist(), scores.purchase.tolist(), strict=True
        )
    ]
    return sorted(ranked, key=lambda each: (-each.score, each.item.item_id))
