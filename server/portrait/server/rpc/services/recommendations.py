"""RecommendationService: ranks a catalogue's items, or the caller's candidates, for a shopper."""

from collections.abc import Callable

import structlog

from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS
from portrait.server.consent.consents import Permissions
from portrait.server.recommendation import ranking
from portrait.server.recommendation.rule_plan import ShopRules
from portrait.server.recommendation.shelves import ShelfRequest, fill_shelf
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Context, current_deadline
from portrait.server.rpc.services.messages import (
    catalogue_name,
    filter_from_message,
    items_from_messages,
    ranked_items_to_messages,
    requested_as_of,
)
from portrait.server.rpc.services.shelf_messages import SHELF_KINDS, shelf_items_to_messages
from portrait.server.rpc.services.shoppers import charge_searches, load_history, load_terms, read_decisions
from portrait.server.rules.file import Placement
from portrait.server.storage.histories import MAX_HISTORY_EVENTS
from portrait.server.storage.store import Store
from portrait.v1 import recommendation_service_pb2, recommendation_service_pb2_grpc

DEFAULT_K = 10


class RecommendationService(recommendation_service_pb2_grpc.RecommendationServiceServicer):
    """Ranks items.

    Args:
        registry: the engines that rank.
        store: holds the histories of recorded shoppers.
        permissions: decides which histories may be used.
        get_rules: returns the shop's rules in force.
    """

    def __init__(
        self,
        registry: EngineRegistry,
        store: Store,
        permissions: Permissions,
        get_rules: Callable[[], ShopRules],
    ) -> None:
        self._get_rules = get_rules
        self._registry = registry
        self._store = store
        self._permissions = permissions

    async def Recommend(  # noqa: N802 - the contract's name
        self, request: recommendation_service_pb2.RecommendRequest, context: Context
    ) -> recommendation_service_pb2.RecommendResponse:
        """Recommend the best items of a catalogue."""
        with self._registry.routes as routes:
            as_of = requested_as_of(request)
            # To exclude seen items, the whole history is read, and not only the events that the models remember.
            limit = MAX_HISTORY_EVENTS if request.exclude_seen else MAX_REMEMBERED_EVENTS
            decisions = await read_decisions(self._store, request.shopper)
            history = await load_history(self._store, self._permissions, decisions, request.shopper, as_of, limit)
            await charge_searches(history.events)
            terms = await load_terms(self._store, self._permissions, decisions)
            ranked = await ranking.recommend(
                routes.engine_for(request.shopper.shopper_id),
                ranking.RecommendRequest(
                    history=history.events,
                    as_of=history.as_of,
                    catalogue=catalogue_name(request.catalogue),
                    query=request.query,
                    k=request.k or DEFAULT_K,
                    filter=filter_from_message(request.filter),
                    exclude_seen=request.exclude_seen,
                    max_per_category=request.max_per_category,
                    min_age=terms.min_age,
                    reviews=terms.reviews,
                    rules=self._get_rules(),
                    allow_degraded=request.allow_degraded,
                ),
                deadline=current_deadline(),
            )
        _log_counts(ranked)
        return recommendation_service_pb2.RecommendResponse(
            items=await ranked_items_to_messages(ranked.items),
            release=ranked.release,
            event_count=ranked.event_count,
            degraded=ranked.degraded,
            reviewed_by=ranked.reviewed_by,
        )

    async def Rank(  # noqa: N802 - the contract's name
        self, request: recommendation_service_pb2.RankRequest, context: Context
    ) -> recommendation_service_pb2.RankResponse:
        """Order the candidates of the caller."""
        with self._registry.routes as routes:
            as_of = requested_as_of(request)
            decisions = await read_decisions(self._store, request.shopper)
            history = await load_history(
                self._store, self._permissions, decisions, request.shopper, as_of, MAX_REMEMBERED_EVENTS
            )
            await charge_searches(history.events)
            terms = await load_terms(self._store, self._permissions, decisions)
            catalogue = catalogue_name(request.catalogue)
            ranked = await ranking.rank(
                routes.engine_for(request.shopper.shopper_id),
                ranking.RankRequest(
                    history=history.events,
                    as_of=history.as_of,
                    catalogue=catalogue,
                    query=request.query,
                    candidates=await items_from_messages(
                        [candidate.item for candidate in request.candidates], catalogue
                    ),
                    min_age=terms.min_age,
                    reviews=terms.reviews,
                    allow_degraded=request.allow_degraded,
                ),
                deadline=current_deadline(),
            )
        _log_counts(ranked)
        return recommendation_service_pb2.RankResponse(
            items=await ranked_items_to_messages(ranked.items),
            release=ranked.release,
            event_count=ranked.event_count,
            degraded=ranked.degraded,
            reviewed_by=ranked.reviewed_by,
        )

    async def GetShelf(  # noqa: N802 - the contract's name
        self, request: recommendation_service_pb2.GetShelfRequest, context: Context
    ) -> recommendation_service_pb2.GetShelfResponse:
        """Fill a shelf."""
        kind = SHELF_KINDS[request.kind]
        with self._registry.routes as routes:
            as_of = requested_as_of(request)
            reads_all = request.exclude_seen or kind is Placement.BUY_AGAIN
            limit = MAX_HISTORY_EVENTS if reads_all else MAX_REMEMBERED_EVENTS
            decisions = await read_decisions(self._store, request.shopper)
            history = await load_history(self._store, self._permissions, decisions, request.shopper, as_of, limit)
            terms = await load_terms(self._store, self._permissions, decisions)
            shelf = await fill_shelf(
                routes.engine_for(request.shopper.shopper_id),
                ShelfRequest(
                    kind=kind,
                    history=history.events,
                    as_of=history.as_of,
                    item_ids=list(dict.fromkeys(request.item_ids)),
                    catalogue=catalogue_name(request.catalogue),
                    k=request.k or DEFAULT_K,
                    filter=filter_from_message(request.filter),
                    exclude_seen=request.exclude_seen,
                    rules=self._get_rules(),
                    min_age=terms.min_age,
                    reviews=terms.reviews,
                ),
            )
        structlog.contextvars.bind_contextvars(
            items=len(shelf.items), events=shelf.event_count, release=shelf.release, shelf=kind.value
        )
        return recommendation_service_pb2.GetShelfResponse(
            items=await shelf_items_to_messages(shelf.items),
            release=shelf.release,
            event_count=shelf.event_count,
            reviewed_by=shelf.reviewed_by,
        )


def _log_counts(ranked: ranking.Ranking) -> None:
    """Add the figures of a ranking to the line of the access log."""
    structlog.contextvars.bind_contextvars(
        items=len(ranked.items), events=ranked.event_count, release=ranked.release, degraded=ranked.degraded
    )
