"""The registry of services: finds them in the descriptors of the contract, checks them, and adds them to a server."""

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

import portrait.v1
from portrait.server.access.scopes import find_scope
from portrait.server.admission.costs import UnlistedMethod, cost_of
from portrait.server.admission.request_units import require_counted
from portrait.server.audiences.search import AudienceSearch
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.consent.consents import Permissions
from portrait.server.recommendation.rule_plan import ShopRules
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Handler
from portrait.server.rpc.services.audiences import AudienceService
from portrait.server.rpc.services.catalogues import CatalogueService
from portrait.server.rpc.services.consents import ConsentService
from portrait.server.rpc.services.events import EventService
from portrait.server.rpc.services.explanations import ExplanationService
from portrait.server.rpc.services.identities import IdentityService
from portrait.server.rpc.services.profiles import ProfileService
from portrait.server.rpc.services.recommendations import RecommendationService
from portrait.server.rpc.services.reviews import ReviewService
from portrait.server.rpc.services.texts import TextService
from portrait.server.storage.store import Store


def _find_services() -> Iterator[tuple[ServiceDescriptor, ModuleType]]:
    """Yield every service of the contract, and the generated module with its servicer class."""
    for module in pkgutil.iter_modules(portrait.v1.__path__):
        if module.name.endswith("_service_pb2"):
            services = import_module(f"portrait.v1.{module.name}").DESCRIPTOR.services_by_name.values()
            yield from ((service, import_module(f"portrait.v1.{module.name}_grpc")) for service in services)


_SERVICES = list(_find_services())
SERVICE_NAMES = [service.full_name for service, _ in _SERVICES]
"""Full names, for example `portrait.v1.ProfileService`."""
METHODS = [method for service, _ in _SERVICES for method in service.methods]
"""All methods of the contract."""


def require_costs(methods: Iterable[MethodDescriptor]) -> None:
    """Require that admission control knows the cost of every method, so that no call bypasses it.

    Raises:
        UnlistedMethod: a method has no cost.
    """
    for method in methods:
        cost_of(f"{method.containing_service.full_name}/{method.name}")
        require_counted(method.input_type)


def require_scopes(methods: Iterable[MethodDescriptor]) -> None:
    """Require that access control knows the scope of every method, so that no call bypasses it.

    Raises:
        UnlistedMethod: a method has no scope.
    """
    for method in methods:
        find_scope(f"{method.containing_service.full_name}/{method.name}")


def require_served(methods: Iterable[MethodDescriptor], servicers: Iterable[type]) -> None:
    """Require that a servicer implements every method.

    Raises:
        UnlistedMethod: no servicer implements a method.
    """
    bases = {service.full_name: getattr(stubs, f"{service.name}Servicer") for service, stubs in _SERVICES}
    known = list(servicers)
    for method in methods:
        base = bases[method.containing_service.full_name]
        default = getattr(base, method.name, None)
        if not any(issubclass(each, base) and getattr(each, method.name, default) is not default for each in known):
            name = f"{method.containing_service.full_name}/{method.name}"
            raise UnlistedMethod(f"{name} has no implementation: add it to portrait.server.rpc.services")


def create_servicers(
    registry: EngineRegistry,
    store: Store,
    permissions: Permissions,
    snapshots: TableSnapshots,
    search: AudienceSearch,
    get_rules: Callable[[], ShopRules],
) -> list[object]:
    """Create the implementation of every service; a new service is one line here.

    Args:
        registry: the engines.
        store: holds events, consents and item changes.
        permissions: decides what a shopper's data may be used for.
        snapshots: the audience tables.
        search: searches the audience tables.
        get_rules: returns the shop's rules for recommendations.
    """
    return [
        AudienceService(registry, snapshots, search),
        CatalogueService(registry, store),
        ConsentService(store, permissions),
        EventService(store),
        ExplanationService(registry, store, permissions),
        IdentityService(store),
        ProfileService(registry, store, permissions),
        RecommendationService(registry, store, permissions, get_rules),
        ReviewService(store, registry, snapshots, search.min_size),
        TextService(registry),
    ]


class MethodHandlers:
    """Takes the place of a server: keeps the handlers of the services that are added to it, by method.

    A method is named as in `Method.name`.
    """

    def __init__(self) -> None:
        self._by_method: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Ignore handlers that answer for a whole service: those of its methods follow."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Keep the handlers of a service's methods."""
        self._by_method |= {f"{service}/{name}": handler for name, handler in handlers.items()}

    def __getitem__(self, method: str) -> Handler:
        """Return the function that answers calls of a method."""
        handler = self._by_method[method]
        return cast("Handler", handler.unary_unary or handler.unary_stream or handler.stream_stream)


def add_unanswered_services(server: grpc.aio.Server) -> None:
    """Add every service of the contract to a server whose interceptors answer all calls: what they let through fails.

    Args:
        server: gets to know the methods and their requests.
    """
    for service, stubs in _SERVICES:
        add = getattr(stubs, f"add_{service.name}Servicer_to_server")
        add(getattr(stubs, f"{service.name}Servicer")(), server)


def add_services(server: grpc.aio.Server | MethodHandlers, servicers: Sequence[object]) -> None:
    """Add every service of the contract to a server.

    Args:
        server: the server, or what takes its place.
        servicers: one implementation of each service.

    Raises:
        UnlistedMethod: a method has no cost, no scope or no implementation.
    """
    require_costs(METHODS)
    require_scopes(METHODS)
    require_served(METHODS, map(type, servicers))
    for service, stubs in _SERVICES:
        add = getattr(stubs, f"add_{service.name}Servicer_to_server")
        add(next(each for each in servicers if isinstance(each, getattr(stubs, f"{service.name}Servicer"))), server)
