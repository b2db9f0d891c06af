"""All services of the contract: their names, and how a server gets them."""

from collections.abc import Iterable

import grpc
from google.protobuf.descriptor import MethodDescriptor

from portrait.server.admission.costs import cost_of
from portrait.server.admission.request_units import require_counted
from portrait.server.consent.consents import Permissions
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.services.audiences import AudienceService
from portrait.server.rpc.services.catalogues import CatalogueService
from portrait.server.rpc.services.consents import ConsentService
from portrait.server.rpc.services.events import EventService
from portrait.server.rpc.services.explanations import ExplanationService
from portrait.server.rpc.services.profiles import ProfileService
from portrait.server.rpc.services.recommendations import RecommendationService
from portrait.server.rpc.services.texts import TextService
from portrait.server.storage.store import Store
from portrait.v1 import (
    audience_service_pb2,
    audience_service_pb2_grpc,
    catalogue_service_pb2,
    catalogue_service_pb2_grpc,
    consent_service_pb2,
    consent_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    explanation_service_pb2,
    explanation_service_pb2_grpc,
    profile_service_pb2,
    profile_service_pb2_grpc,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
    text_service_pb2,
    text_service_pb2_grpc,
)

_SERVICES = [
    service
    for module in (
        audience_service_pb2,
        catalogue_service_pb2,
        consent_service_pb2,
        event_service_pb2,
        explanation_service_pb2,
        profile_service_pb2,
        recommendation_service_pb2,
        text_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
]
SERVICE_NAMES = [service.full_name for service in _SERVICES]
"""Full names, for example `portrait.v1.ProfileService`."""
METHODS = [method for service in _SERVICES for method in service.methods]


def require_costs(methods: Iterable[MethodDescriptor]) -> None:
    """Require that no call of a method could pass by the limits.

    Raises:
        UnlistedMethod: nobody has said what calls of a method cost.
    """
    for method in methods:
        cost_of(f"{method.containing_service.full_name}/{method.name}")
        require_counted(method.input_type.full_name)


def add_services(
    server: grpc.aio.Server,
    registry: EngineRegistry,
    store: Store,
    permissions: Permissions,
    audiences: AudienceService,
) -> None:
    """Add every service of the contract to a server.

    Args:
        server: gets them.
        registry: the engines that answer.
        store: of events, consents and changes of items.
        permissions: say what may be done with a shopper's data.
        audiences: the service of audiences, which owns a thread.

    Raises:
        UnlistedMethod: nobody has said what calls of a method cost.
    """
    require_costs(METHODS)
    audience_service_pb2_grpc.add_AudienceServiceServicer_to_server(audiences, server)
    catalogue_service_pb2_grpc.add_CatalogueServiceServicer_to_server(CatalogueService(registry, store), server)
    consent_service_pb2_grpc.add_ConsentServiceServicer_to_server(ConsentService(store, permissions), server)
    event_service_pb2_grpc.add_EventServiceServicer_to_server(EventService(store), server)
    profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(ProfileService(registry, store, permissions), server)
    explanation_service_pb2_grpc.add_ExplanationServiceServicer_to_server(
        ExplanationService(registry, store, permissions), server
    )
    recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server(
        RecommendationService(registry, store, permissions), server
    )
    text_service_pb2_grpc.add_TextServiceServicer_to_server(TextService(registry), server)
