"""RecommendationService: ranks a catalogue's items, or the caller's candidates, for a shopper."""

import structlog

from portrait.server import engine as core
from portrait.server.consents import Permissions
from portrait.server.engine import Ranking
from portrait.server.interceptors.chain import Context
from portrait.server.interceptors.deadlines import current_deadline
from portrait.server.rollout.loaded import Loaded
from portrait.server.services.shoppers import behaviour_of
from portrait.server.services.translation import catalogue_name, filter_of, item_of, ranked_messages
from portrait.server.storage.store import Store
from portrait.v1 import recommendation_service_pb2, recommendation_service_pb2_grpc

DEFAULT_K = 10


class RecommendationService(recommendation_service_pb2_grpc.RecommendationServiceServicer):
    """Ranks items.

    Args:
        loaded: the engines that rank them.
        store: holds the histories of named shoppers.
        permissions: says whose may be looked at.
    """

    def __init__(self, loaded: Loaded, store: Store, permissions: Permissions) -> None:
        self._loaded = loaded
        self._store = store
        self._permissions = permissions

    async def Recommend(  # noqa: N802 - the contract's name
        self, request: recommendation_service_pb2.RecommendRequest, context: Context
    ) -> recommendation_service_pb2.RecommendResponse:
        """The best items of a catalogue."""
        with self._loaded.routes as routes:
            as_of = request.as_of if request.HasField("as_of") else None
            behaviour = await behaviour_of(self._store, self._permissions, request.shopper, as_of)
            ranking = await routes.of(request.shopper.shopper_id).recommend(
                core.RecommendRequest(
                    history=behaviour.history,
                    as_of=behaviour.as_of,
                    catalogue=catalogue_name(request.catalogue),
                    query=request.query,
                    k=request.k or DEFAULT_K,
                    filter=filter_of(request.filter),
                    exclude_seen=request.exclude_seen,
                    allow_degraded=request.allow_degraded,
                ),
                deadline=current_deadline(),
            )
        _count(ranking)
        return recommendation_service_pb2.RecommendResponse(
            items=ranked_messages(ranking.items),
            release=ranking.release,
            event_count=ranking.event_count,
            degraded=ranking.degraded,
        )

    async def Rank(  # noqa: N802 - the contract's name
        self, request: recommendation_service_pb2.RankRequest, context: Context
    ) -> recommendation_service_pb2.RankResponse:
        """The caller's candidates in order."""
        with self._loaded.routes as routes:
            as_of = request.as_of if request.HasField("as_of") else None
            behaviour = await behaviour_of(self._store, self._permissions, request.shopper, as_of)
            catalogue = catalogue_name(request.catalogue)
            ranking = await routes.of(request.shopper.shopper_id).rank(
                core.RankRequest(
                    history=behaviour.history,
                    as_of=behaviour.as_of,
                    catalogue=catalogue,
                    query=request.query,
                    candidates=[item_of(candidate.item, catalogue) for candidate in request.candidates],
                    allow_degraded=request.allow_degraded,
                ),
                deadline=current_deadline(),
            )
        _count(ranking)
        return recommendation_service_pb2.RankResponse(
            items=ranked_messages(ranking.items),
            release=ranking.release,
            event_count=ranking.event_count,
            degraded=ranking.degraded,
        )


def _count(ranking: Ranking) -> None:
    structlog.contextvars.bind_contextvars(
        items=len(ranking.items), events=ranking.event_count, release=ranking.release, degraded=ranking.degraded
    )
