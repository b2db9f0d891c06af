"""Shoppers as the models see them: a history's events with their vectors, and the profile they make."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.associations import MAX_ASSOCIATION_EVENTS
from portrait.features.candidates.relations import RelatedItems
from portrait.features.events import EVENT_TYPE_CODES, Event, EventType
from portrait.features.histories import history_arrays as histories
from portrait.features.histories.history_arrays import EventColumns
from portrait.features.search.word_index import QueryWords
from portrait.features.text.normalisation import normalise_text, query_text
from portrait.server.catalogue.snapshot import CatalogueSnapshots
from portrait.server.inference.embedding_cache import ProfileEmbeddingCache
from portrait.server.inference.encoders import ProfileEncoder
from portrait.server.inference.texts import TextEncoder
from portrait.server.inference.triton import TritonModels
from portrait.server.release.release import Release


@dataclass(frozen=True)
class Shopper:
    """The shopper that a ranking is for."""

    profile: NDArray[np.float32]
    """`[dimension]`, unit length; zeros if there is neither history nor query."""
    query: NDArray[np.float32]
    """`[dimension]`, unit length; zeros without a query."""
    events: Sequence[Event]
    """The events that the models read, oldest first; the query is the last one, as a search."""
    columns: EventColumns
    """The events as columns."""
    release: Release
    query_words: QueryWords | None = None
    """The words of the query; None without one."""
    query_sentence: NDArray[np.float32] | None = None
    """`[hidden]`, the query's sentence embedding; None without a query, and in the default catalogue."""

    @cached_property
    def related(self) -> RelatedItems:
        """Rows of the release's items that the events lead to; made when a ranking asks for them."""
        # Only so many are read: the rows of a long history need not be looked up.
        rows: list[int] = []
        known = 0
        for event in reversed(self.events):
            rows.append(self.release.row_of(event))
            known += rows[-1] >= 0
            if known == MAX_ASSOCIATION_EVENTS:
                break
        return self.release.relations.score_history(rows[::-1], self.columns.time[len(self.events) - len(rows) :])


def read_events(history: Sequence[Event]) -> list[Event]:
    """Return the events of a history that the models read."""
    return [event for event in history[-histories.MAX_REMEMBERED_EVENTS :] if event.type in EVENT_TYPE_CODES]


class ShopperEncoder:
    """Encodes histories with the release's `text_encoder` and `profile_encoder`.

    Args:
        models: the graphs.
        release: dimension and prices.
        texts: embeds queries.
    """

    def __init__(self, models: TritonModels, release: Release, texts: TextEncoder) -> None:
        self._release, self._texts = release, texts
        self.profiles = ProfileEncoder(models, release)
        self._remembered = ProfileEmbeddingCache()

    def encode_cached(
        self, history: Sequence[Event], query: str, as_of: datetime, snapshots: CatalogueSnapshots
    ) -> Shopper | None:
        """A shopper as far as no model is needed: the profile, if it is remembered; None if the query is not.

        The arguments are those of `encode_history`.
        """
        nobody = np.zeros(self._release.dimension, dtype=np.float32)
        events = read_events(history)
        columns = histories.build_event_columns(events, lambda event: self._price_percentile(event, snapshots))
        told = (events, columns, self._release, self._read_query(query))
        profile = self._remembered.get(events)
        asked = nobody
        if text := query_text(Event("", EventType.SEARCH, as_of, query=query)):
            known = self._texts.cache.get(normalise_text(text))
            if known is None:
                return None
            asked = known
        return Shopper(nobody if profile is None else profile, asked, *told)

    async def encode(
        self,
        history: Sequence[Event],
        query: str,
        as_of: datetime,
        snapshots: CatalogueSnapshots,
        deadline: float | None,
    ) -> Shopper:
        """Encode a history. A query is one more search, made now, so that the profile is of a shopper who asks.

        Args:
            history: oldest first, nothing later than `as_of`.
            query: what the shopper asks for, empty for nothing.
            as_of: the moment of the profile.
            snapshots: look up the events' items.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        asks = bool(normalise_text(query))
        events = read_events(history)
        if asks:
            events.append(Event("", EventType.SEARCH, as_of, query=query))
        columns = histories.build_event_columns(events, lambda event: self._price_percentile(event, snapshots))
        nobody = np.zeros(self._release.dimension, dtype=np.float32)
        told = (events, columns, self._release, self._read_query(query))
        if not events:
            return Shopper(nobody, nobody, *told)
        slots = histories.find_encoded_slots(columns)
        vectors = await self.vectors(events[slots[0] :], snapshots, deadline)
        profile = await self.profiles.encode(
            histories.pool_slots(vectors, slots - slots[0]), histories.encode_history(columns, slots, as_of), deadline
        )
        if not asks:
            self._remembered.put(events, profile)
        return Shopper(profile, vectors[-1] if asks else nobody, *told)

    def _read_query(self, query: str) -> QueryWords | None:
        return self._release.words.read_query(query) if normalise_text(query) else None

    def _price_percentile(self, event: Event, snapshots: CatalogueSnapshots) -> float:
        item = snapshots.item(event) if event.price is not None else None
        return self._release.price_scale.percentile(item.category_path, event.price) if item else math.nan

    async def vectors(
        self, events: Sequence[Event], snapshots: CatalogueSnapshots, deadline: float | None
    ) -> NDArray[np.float32]:
        """`[events, dimension]`: the query's embedding for a search, else the item's vector, zeros if unknown."""
        vectors = np.zeros((len(events), self._release.dimension), dtype=np.float32)
        searches = {place: text for place, event in enumerate(events) if (text := query_text(event))}
        if searches:
            vectors[list(searches)] = await self._texts.encode(list(searches.values()), deadline)
        for snapshot in snapshots.by_name.values():
            rows = {place: row for place, event in enumerate(events) if (row := snapshot.row_of(event)) is not None}
            vectors[list(rows)] = snapshot.vectors(np.array(list(rows.values()), dtype=np.int64))
        return vectors
