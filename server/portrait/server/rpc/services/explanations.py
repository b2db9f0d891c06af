"""ExplanationService: explains the score of an item, and the parts of a profile, by the events behind them."""

from collections.abc import Iterable

import structlog

from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS
from portrait.features.profiles.evidence import MAX_EXPLAINED_EVENTS
from portrait.server.admission.charges import add_units
from portrait.server.admission.request_units import TEXTS_PER_UNIT, history_units
from portrait.server.consent.consents import Permissions
from portrait.server.explanation.counterfactuals import (
    MAX_WORDS,
    EventEffect,
    ItemEffect,
    ProfilePart,
    count_histories,
    count_weighed_events,
    explain_profile,
    explain_recommendation,
)
from portrait.server.recommendation.ranking import RankRequest
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Context, current_deadline
from portrait.server.rpc.services.messages import (
    catalogue_name,
    event_type_to_message,
    ranked_item_to_message,
    requested_as_of,
)
from portrait.server.rpc.services.shoppers import (
    charge_searches,
    load_history,
    load_terms,
    read_decisions,
    require_history,
)
from portrait.server.storage.store import Store
from portrait.v1 import explanation_service_pb2, explanation_service_pb2_grpc


class ExplanationService(explanation_service_pb2_grpc.ExplanationServiceServicer):
    """Explains scores and profiles.

    Args:
        registry: the engines that compute them.
        store: holds the histories of recorded shoppers.
        permissions: decides which histories may be used.
    """

    def __init__(self, registry: EngineRegistry, store: Store, permissions: Permissions) -> None:
        self._registry = registry
        self._store = store
        self._permissions = permissions

    async def ExplainRecommendation(  # noqa: N802 - the contract's name
        self, request: explanation_service_pb2.ExplainRecommendationRequest, context: Context
    ) -> explanation_service_pb2.ExplainRecommendationResponse:
        """Explain the score of an item."""
        decisions = await read_decisions(self._store, request.shopper)
        history = await load_history(
            self._store,
            self._permissions,
            decisions,
            request.shopper,
            requested_as_of(request),
            # Up to EXPLAINED_EVENTS events are left out; older ones take their places, so that the models read as many.
            MAX_REMEMBERED_EVENTS + MAX_EXPLAINED_EVENTS,
        )
        await charge_searches(history.events)
        await add_units(count_histories(history.events) + MAX_WORDS // TEXTS_PER_UNIT)
        catalogue = catalogue_name(request.catalogue)
        terms = await load_terms(self._store, self._permissions, decisions)
        with self._registry.routes as routes:
            engine = routes.engine_for(request.shopper.shopper_id)
            explained = await explain_recommendation(
                engine,
                RankRequest(
                    history.events,
                    history.as_of,
                    catalogue,
                    request.query,
                    min_age=terms.min_age,
                    reviews=terms.reviews,
                ),
                engine.get_item(catalogue, request.item_id),
                deadline=current_deadline(),
            )
        structlog.contextvars.bind_contextvars(events=explained.event_count, release=explained.release)
        return explanation_service_pb2.ExplainRecommendationResponse(
            ranked_item=ranked_item_to_message(explained.ranked_item),
            events=_event_effects(explained.events),
            items=_item_effects(explained.items),
            words=[explanation_service_pb2.WordEffect(word=each.word, effect=each.effect) for each in explained.words],
            release=explained.release,
            event_count=explained.event_count,
        )

    async def ExplainProfile(  # noqa: N802 - the contract's name
        self, request: explanation_service_pb2.ExplainProfileRequest, context: Context
    ) -> explanation_service_pb2.ExplainProfileResponse:
        """Explain an interest, a trait or the embedding of a profile."""
        as_of = requested_as_of(request)
        decisions = await read_decisions(self._store, request.shopper)
        history = await require_history(self._store, self._permissions, decisions, request.shopper, as_of)
        terms = await load_terms(self._store, self._permissions, decisions)
        with self._registry.routes as routes:
            engine = routes.engine_for(request.shopper.shopper_id)
            await add_units(count_histories(history.events))
            # An interest depends on all events except searches; a trait and the embedding depend on the latest events.
            if request.HasField("interest"):
                await add_units(history_units(count_weighed_events(engine, history.events)))
            else:
                await charge_searches(history.events)
            explained = await explain_profile(
                engine,
                history.events,
                history.as_of,
                ProfilePart(interest=tuple(request.interest.names), trait=request.trait),
                deadline=current_deadline(),
                min_age=terms.min_age,
                reviews=terms.reviews,
            )
        structlog.contextvars.bind_contextvars(events=explained.event_count, release=explained.release)
        return explanation_service_pb2.ExplainProfileResponse(
            events=_event_effects(explained.events),
            items=_item_effects(explained.items),
            weight=explained.weight,
            probability=explained.probability,
            release=explained.release,
            event_count=explained.event_count,
            reviewed_by=explained.reviewed_by,
        )


def _event_effects(effects: Iterable[EventEffect]) -> list[explanation_service_pb2.EventEffect]:
    return [
        explanation_service_pb2.EventEffect(
            event_id=each.event.event_id,
            effect=each.effect,
            type=event_type_to_message(each.event.type),
            time=each.event.time,
            subject=each.subject,
        )
        for each in effects
    ]


def _item_effects(effects: Iterable[ItemEffect]) -> list[explanation_service_pb2.ItemEffect]:
    return [
        explanation_service_pb2.ItemEffect(
            subject=each.subject, event_ids=[event.event_id for event in each.events], effect=each.effect
        )
        for each in effects
    ]
