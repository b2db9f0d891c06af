"""Tables that are kept by method hold every method of the contract, and no other: a new one can't be forgotten."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

import portrait.v1
from portrait.server.admission import costs, request_units
from portrait.server.admission.costs import UnlistedMethod, cost_of
from portrait.server.rpc.health import WRITING_SERVICES
from portrait.server.rpc.interceptors.response_cache import CACHEABLE_METHODS
from portrait.server.rpc.services.profiles import ProfileService
from portrait.server.rpc.services.registry import METHODS, SERVICE_NAMES, require_costs, require_served


def services() -> Iterator[ServiceDescriptor]:
    """All services of the contract, from its generated modules."""
    for module in pkgutil.iter_modules(portrait.v1.__path__):
        if module.name.endswith("_pb2"):
            yield from importlib.import_module(f"portrait.v1.{module.name}").DESCRIPTOR.services_by_name.values()


def name_of(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


def invented(package: str, method: str, request: str) -> MethodDescriptor:
    """A method that somebody adds to the contract and to nothing else."""
    file = FileDescriptorProto(name="new.proto", package=package, syntax="proto3")
    file.message_type.add(name=request).field.add(name="names", number=1, type=9, label=3)  # repeated string
    file.service.add(name="ProfileService").method.add(
        name=method, input_type=f".{package}.{request}", output_type=f".{package}.{request}"
    )
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName(f"{package}.ProfileService").methods[0]


def test_every_service_is_registered() -> None:
    assert sorted(SERVICE_NAMES) == sorted(service.full_name for service in services())


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_every_method_has_a_cost(method: MethodDescriptor) -> None:
    require_costs([method])
    assert cost_of(name_of(method)) is not None


@pytest.mark.parametrize(
    ("method", "missing"),
    [
        (
            invented("portrait.v1", "GetDreams", "GetProfileRequest"),
            r"^portrait\.v1\.ProfileService/GetDreams has no ",
        ),
        (invented("portrait.v1", "GetProfile", "GetDreamsRequest"), r"^portrait\.v1\.GetDreamsRequest has no units"),
        (
            invented("portrait.v2", "GetProfile", "GetProfileRequest"),
            r"^portrait\.v2\.ProfileService/GetProfile has ",
        ),
    ],
)
def test_a_method_that_nobody_listed_is_named_at_the_start(method: MethodDescriptor, missing: str) -> None:
    with pytest.raises(UnlistedMethod, match=missing):
        require_costs([*METHODS, method])


def test_a_method_that_nobody_implements_is_named_at_the_start() -> None:
    require_served([method for method in METHODS if "ProfileService" in name_of(method)], [ProfileService])
    with pytest.raises(UnlistedMethod, match=r"^portrait\.v1\.ProfileService/GetDreams has no implementation"):
        require_served([invented("portrait.v1", "GetDreams", "GetProfileRequest")], [ProfileService])
    with pytest.raises(UnlistedMethod, match=r"^portrait\.v1\.AudienceService/FindAudience has no implementation"):
        require_served(METHODS, [ProfileService])


@pytest.mark.parametrize("name", ["", "portrait.v1.ProfileService/", "portrait.v1/GetProfile", "grpc.Other/Do"])
def test_no_unknown_method_is_free(name: str) -> None:
    with pytest.raises(UnlistedMethod):
        cost_of(name)


@pytest.mark.parametrize(
    "name", ["grpc.health.v1.Health/Check", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
)
def test_health_and_reflection_are_free(name: str) -> None:
    assert cost_of(name) is None


def test_a_batch_costs_more_than_one_call() -> None:
    batch = cost_of("portrait.v1.ProfileService/BatchGetProfiles")
    assert batch is not None
    assert batch.units(40 * 256) > 100


def test_no_table_names_what_there_is_not() -> None:
    names, requests = {name_of(method) for method in METHODS}, {method.input_type.full_name for method in METHODS}
    assert names == costs.LISTED_METHODS
    assert requests >= request_units.LISTED_REQUESTS
    assert names >= CACHEABLE_METHODS
    assert {"", *SERVICE_NAMES} >= WRITING_SERVICES


def test_answers_that_are_given_again_say_for_whom_and_when() -> None:
    for method in METHODS:
        if name_of(method) in CACHEABLE_METHODS:
            assert {"shopper", "as_of"} <= set(method.input_type.fields_by_name), name_of(method)
