"""The registry of engines: one for each loaded release, and the routes of requests to them."""

import asyncio
import threading
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress

from portrait.features.events import Item
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.engine import Engine
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, NotFound
from portrait.server.rollout.routes import Routes
from portrait.server.rollout.traffic import Traffic

MAX_CATALOGUES = 100
"""Catalogues that exist at a time, the release's among them. Each takes memory and time series of metrics."""


class EngineRegistry:
    """Engines by release. Changes of items reach all of them, so that each can take over at any time.

    Args:
        engine: of the release that serves first.
        traffic: says that it serves all.
    """

    def __init__(self, engine: Engine, traffic: Traffic) -> None:
        self._engines = {engine.release.number: engine}
        self._left: list[Routes] = []
        self._ended: Counter[tuple[str, str]] = Counter()
        self._counting = threading.Lock()
        """Held while an engine's counts move to `_ended`, so that a scrape finds them in one place."""
        self.routes = Routes(traffic, self._engines)
        """Routes of new requests."""
        self.changing = asyncio.Lock()
        """Held while items change, so that all engines and the store see the changes in one order."""
        self.unapplied: set[tuple[str, str]] = set()
        """Catalogue and id of items whose change is stored but could not be applied here."""
        self._item_changes = self._switches = 0

    @property
    def engines(self) -> Mapping[int, Engine]:
        """By release."""
        return self._engines

    @property
    def state(self) -> Hashable:
        """Another value after every change of items or routes: while it is the same, so are answers.

        Routes are counted, not compared: after a rollback they are equal to those before the promotion, but an answer
        that was begun on these may have been made by the other release.
        """
        return self._item_changes, self._switches

    @property
    def in_use(self) -> set[int]:
        """The releases that requests go to, and those that requests under way went to."""
        self._left = [routes for routes in self._left if routes.under_way]
        return {number for routes in (self.routes, *self._left) for number in routes.traffic.routed}

    def add(self, engine: Engine) -> None:
        """Have one more release at hand; it knows every change of an item so far."""
        self._engines[engine.release.number] = engine

    def switch(self, traffic: Traffic) -> None:
        """Send requests elsewhere from now on; those under way end where they began."""
        self._left.append(self.routes)
        self._switches += 1
        self.routes = Routes(traffic, self._engines)

    def remove(self, release: int) -> Engine:
        """Forget a release that is not in use; returns its engine, for the caller to close."""
        with self._counting:
            engine = self._engines.pop(release)
            self._ended = self._ended + _counts(engine)
        return engine

    def counts(self) -> Counter[tuple[str, str]]:
        """Sum the counters of all engines since the start, removed engines included.

        Keys: `("batches", model)` of models' batches, and `"rows"`, `"padded_units"`, `"units"` of what is in them;
        `("degraded", cause)` of answers without the models, `("texts", "known")` and `("texts", "encoded")` of texts;
        `("index", "failures")` of searches that another process did not answer;
        `("triton", "failovers")` and `("triton", "hedges")` of calls that went to another server.
        """
        with self._counting:
            return sum(map(_counts, tuple(self._engines.values())), self._ended)

    def require_room(self, catalogue: str) -> None:
        """Require that a catalogue exists in a release, or may be made.

        What is stored already is replayed without this check: a state file that holds more than the limit is served.

        Raises:
            FailedPrecondition: there are as many catalogues as there may be.
        """
        held = [engine.catalogues for engine in self._engines.values()]
        if any(catalogue in catalogues for catalogues in held):
            return
        count = max(map(len, held))
        if count >= MAX_CATALOGUES:
            raise FailedPrecondition(
                f"there is none of this name, and there are {count}; the limit is {MAX_CATALOGUES}. Use one "
                "that exists, or remove all items of one with DeleteItems",
                ErrorReason.CATALOGUES_FULL,
                "catalogue",
            )

    async def upsert_items(self, catalogue: str, items: Sequence[Item], *, deadline: float | None) -> None:
        """Add or replace items in every release; see `Engine.upsert_items`. Called with `changing` held."""
        self.put_items(catalogue, await self.encode_items(catalogue, items, deadline=deadline))

    async def encode_items(
        self, catalogue: str, items: Sequence[Item], *, deadline: float | None
    ) -> dict[int, CandidateSet]:
        """Encode items by every release, for `put_items`; changes nothing. Called with `changing` held."""
        engines = dict(self._engines)
        encoding = (engine.encode_items(catalogue, items, deadline) for engine in engines.values())
        # All are waited for, so that none is still at work when the next change comes.
        outcomes = await asyncio.gather(*encoding, return_exceptions=True)
        encoded = {}
        for release, outcome in zip(engines, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            encoded[release] = outcome
        return encoded

    def put_items(self, catalogue: str, encoded: Mapping[int, CandidateSet]) -> None:
        """Add or replace items in every release, as `encode_items` gave them. Called with `changing` held."""
        for release, items in encoded.items():
            self._engines[release].put_items(catalogue, items)
        self._item_changes += 1

    def require_catalogue(self, catalogue: str) -> None:
        """Raise NotFound if the serving release has no such catalogue."""
        _ = self.routes.serving.catalogues[catalogue]

    def delete_items(self, catalogue: str, item_ids: Sequence[str]) -> int:
        """Remove items from every release; returns how many the serving one held. Called with `changing` held.

        Raises:
            NotFound: the serving release has no such catalogue.
        """
        serving = self.routes.serving
        for engine in self._engines.values():
            if engine is not serving:
                with suppress(NotFound):  # a catalogue that only some releases bring
                    engine.delete_items(catalogue, item_ids)
        self._item_changes += 1
        return serving.delete_items(catalogue, item_ids)

    async def check_indexes(self) -> None:
        """Check for every release whether its nearest items can be searched; see `Engine.check_index`."""
        await asyncio.gather(*(engine.check_index() for engine in tuple(self._engines.values())))

    async def close(self) -> None:
        """Close all engines."""
        for engine in self._engines.values():
            await engine.close()


def _counts(engine: Engine) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for model, batcher in engine.batchers.items():
        counts["batches", model], counts["rows", model] = batcher.batches, batcher.items
        counts["padded_units", model], counts["units", model] = batcher.padded_units, batcher.units
    for cause, answers in engine.fallback.answers.items():
        counts["degraded", cause] = answers
    counts["texts", "known"], counts["texts", "encoded"] = engine.texts.cache.hits, engine.texts.cache.misses
    counts["index", "failures"] = engine.release.nearest.failures
    counts["triton", "failovers"], counts["triton", "hedges"] = engine.triton.failovers, engine.triton.hedges
    return counts
