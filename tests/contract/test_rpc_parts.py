"""Every RPC has all of its parts, as the recipe in CONTRIBUTING lists them; a missing part is named by its file."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from benchmarks.common.worst_case_requests import WORST_CASE_REQUESTS
from portrait.client import AsyncClient, Client, calls
from portrait.server.access.scopes import PURPOSE_SCOPES, Scope, find_scope
from portrait.server.admission.costs import UnlistedMethod
from portrait.server.rpc.contract.limits import LIMITS
from portrait.server.rpc.services.audiences import AudienceService
from portrait.server.rpc.services.catalogues import CatalogueService
from portrait.server.rpc.services.consents import ConsentService
from portrait.server.rpc.services.events import EventService
from portrait.server.rpc.services.explanations import ExplanationService
from portrait.server.rpc.services.identities import IdentityService
from portrait.server.rpc.services.profiles import ProfileService
from portrait.server.rpc.services.recommendations import RecommendationService
from portrait.server.rpc.services.registry import METHODS, require_costs, require_scopes, require_served
from portrait.server.rpc.services.reviews import ReviewService
from portrait.server.rpc.services.texts import TextService

REPOSITORY = Path(__file__).parents[2]
GATEWAY_PAGE = (REPOSITORY / "docs" / "operations" / "gateway.md").read_text(encoding="utf-8")
CLIENTS_PAGE = (REPOSITORY / "docs" / "clients.md").read_text(encoding="utf-8")
SERVICERS = (
    AudienceService, CatalogueService, ConsentService, EventService, ExplanationService, IdentityService,
    ProfileService, RecommendationService, ReviewService, TextService,
)  # fmt: skip


def name_of(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


def client_name(method: MethodDescriptor) -> str:
    """The name of the client's method, for example `get_profile`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()


def has_limits(method: MethodDescriptor) -> bool:
    """Tell whether every text and every list of the request has a limit."""
    request = method.input_type
    return all(
        f"{request.name}.{field.name}" in LIMITS
        for field in request.fields
        if field.is_repeated or field.cpp_type == FieldDescriptor.CPPTYPE_STRING
    )


def is_served(method: MethodDescriptor) -> bool:
    try:
        require_served([method], SERVICERS)
    except UnlistedMethod:
        return False
    return True


def has_cost(method: MethodDescriptor) -> bool:
    try:
        require_costs([method])
    except UnlistedMethod:
        return False
    return True


def has_scope(method: MethodDescriptor) -> bool:
    try:
        require_scopes([method])
    except UnlistedMethod:
        return False
    return True


PARTS: dict[str, Callable[[MethodDescriptor], bool]] = {
    "server/portrait/server/rpc/contract/limits.py": has_limits,
    "server/portrait/server/rpc/services/": is_served,
    "server/portrait/server/admission/costs.py": has_cost,
    "server/portrait/server/access/scopes.py": has_scope,
    "clients/portrait/client/calls.py": lambda method: hasattr(calls, client_name(method)),
    "clients/portrait/client/sync.py": lambda method: hasattr(Client, client_name(method)),
    "clients/portrait/client/aio.py": lambda method: hasattr(AsyncClient, client_name(method)),
    "docs/clients.md": lambda method: f"{client_name(method)}(" in CLIENTS_PAGE,
    "benchmarks/common/worst_case_requests.py": lambda method: name_of(method) in WORST_CASE_REQUESTS,
}


def missing_parts(method: MethodDescriptor) -> list[str]:
    """Name the files that lack a part of an RPC."""
    return [path for path, has_part in PARTS.items() if not has_part(method)]


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_every_rpc_has_all_its_parts(method: MethodDescriptor) -> None:
    assert missing_parts(method) == []


def test_a_new_rpc_misses_every_part() -> None:
    file = FileDescriptorProto(name="new.proto", package="portrait.v1", syntax="proto3")
    file.message_type.add(name="CountDreamsRequest").field.add(name="shopper_ids", number=1, type=9, label=3)
    file.message_type.add(name="CountDreamsResponse")
    file.service.add(name="ProfileService").method.add(
        name="CountDreams",
        input_type=".portrait.v1.CountDreamsRequest",
        output_type=".portrait.v1.CountDreamsResponse",
    )
    pool = DescriptorPool()
    pool.Add(file)
    [method] = pool.FindServiceByName("portrait.v1.ProfileService").methods
    assert missing_parts(method) == list(PARTS)


def test_every_part_is_a_file() -> None:
    assert [path for path in PARTS if not (REPOSITORY / path).exists()] == []


def test_the_documentation_has_the_scope_of_every_method() -> None:
    """Each row of the table has a scope and the methods that need it."""
    rows = dict(re.findall(r"^\| `([a-z]+:[a-z]+)` \| (`[A-Z].*`) \|$", GATEWAY_PAGE, re.MULTILINE))
    scopes = {method.name: find_scope(name_of(method)) for method in METHODS}
    assert {name: scope for scope, names in rows.items() for name in re.findall(r"\w+", names)} == scopes
    assert set(rows) == set(Scope) - set(PURPOSE_SCOPES)


def test_the_documentation_has_the_scope_of_every_purpose() -> None:
    assert set(re.findall(r"`(purpose:[a-z]+)`", GATEWAY_PAGE)) >= set(PURPOSE_SCOPES)


def test_names_of_methods_are_unique_over_all_services() -> None:
    """Clients have one method for each RPC, whatever its service."""
    assert len({method.name for method in METHODS}) == len(METHODS)
