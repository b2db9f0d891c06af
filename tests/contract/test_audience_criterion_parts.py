"""The recipe of an audience criterion: every criterion has all its parts, and the parts that one lacks are named."""

import dataclasses
import typing
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from numpy.typing import NDArray
from support.audience_fixtures import NOW, make_profile, make_table

import portrait.client
from portrait.client import audiences as client_audiences
from portrait.server.audiences import criteria, matchers
from portrait.server.audiences.criteria import Audience
from portrait.server.audiences.search import AudienceSearch
from portrait.server.audiences.table import AudienceTable
from portrait.server.rpc.contract.limits import LIMITS
from portrait.server.rpc.services import audience_criteria
from portrait.server.timestamps import to_microseconds
from portrait.v1 import audience_service_pb2

REPOSITORY = Path(__file__).parents[2]
UNIT_TESTS = REPOSITORY / "tests/unit/server"
OPTIONAL = FieldDescriptorProto.LABEL_OPTIONAL


def find_missing_parts(fields: typing.Iterable[FieldDescriptor]) -> list[str]:
    """Name what criteria lack, one line for each part.

    Args:
        fields: the criteria, as fields of the oneof `Criterion.criterion`.
    """
    docs = (REPOSITORY / "docs/audiences.md").read_text(encoding="utf-8")
    [tests] = (path.read_text(encoding="utf-8") for path in UNIT_TESTS.rglob("test_audiences.py"))
    missing = []
    for field in fields:
        kind = field.message_type
        if kind.name not in {each.__name__ for each in typing.get_args(criteria.Criterion)}:
            missing.append(f"{field.name}: no {kind.name} in Criterion in server/portrait/server/audiences/criteria.py")
        if kind.name not in {each.__name__ for each in [*matchers.MATCHERS, criteria.RegionCriterion]}:
            missing.append(f"{field.name}: no function in MATCHERS in server/portrait/server/audiences/matchers.py")
        if field.name not in audience_criteria.CRITERION_READERS:
            missing.append(
                f"{field.name}: no function in CRITERION_READERS in "
                "server/portrait/server/rpc/services/audience_criteria.py"
            )
        unlimited = [each.name for each in kind.fields if f"{kind.name}.{each.name}" not in LIMITS]
        missing += [f"{field.name}: no limit of {kind.name}.{name} in LIMITS" for name in unlimited]
        if kind.name not in {each.__name__ for each in typing.get_args(client_audiences.Criterion)}:
            missing.append(f"{field.name}: no {kind.name} in Criterion in clients/portrait/client/audiences.py")
        elif getattr(portrait.client, kind.name, None) is None:
            missing.append(f"{field.name}: portrait.client exports no {kind.name}")
        if f"`{field.name}" not in docs:
            missing.append(f"{field.name}: no row in docs/audiences.md")
        if kind.name not in tests:
            missing.append(f"{field.name}: no test in test_audiences.py")
    return missing


def test_every_criterion_of_the_contract_has_all_its_parts() -> None:
    assert find_missing_parts(audience_service_pb2.Criterion.DESCRIPTOR.fields) == []


def test_a_criterion_that_is_only_in_the_contract_is_named_with_every_part_that_it_lacks() -> None:
    assert find_missing_parts([add_criterion_to_contract()]) == [
        "freshness: no FreshnessCriterion in Criterion in server/portrait/server/audiences/criteria.py",
        "freshness: no function in MATCHERS in server/portrait/server/audiences/matchers.py",
        "freshness: no function in CRITERION_READERS in server/portrait/server/rpc/services/audience_criteria.py",
        "freshness: no limit of FreshnessCriterion.since in LIMITS",
        "freshness: no FreshnessCriterion in Criterion in clients/portrait/client/audiences.py",
        "freshness: no row in docs/audiences.md",
        "freshness: no test in test_audiences.py",
    ]


@dataclasses.dataclass(frozen=True)
class FreshnessCriterion:
    """Met by rows whose profile is not older than a moment: a criterion that this test adds by the recipe."""

    since: datetime


def match_freshness(criterion: FreshnessCriterion, table: AudienceTable, _: object, rows: slice) -> NDArray[np.bool_]:
    fresh: NDArray[np.bool_] = table["as_of"][rows] >= to_microseconds(criterion.since)
    return fresh


async def read_freshness(
    criterion: FreshnessCriterion, engine: object, deadline: float | None, path: str
) -> FreshnessCriterion:
    return FreshnessCriterion(criterion.since)


async def test_a_criterion_that_follows_the_recipe_is_read_and_met(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(matchers.MATCHERS, FreshnessCriterion, match_freshness)
    monkeypatch.setitem(audience_criteria.CRITERION_READERS, "freshness", read_freshness)
    table = make_table({f"s{number}": make_profile() for number in range(3)}, tmp_path)
    search = AudienceSearch(1, permit_all, permit_all)
    read = audience_criteria.CRITERION_READERS["freshness"]
    for since, size in ((NOW, 3), (NOW + timedelta(seconds=1), 0)):
        criterion = await read(FreshnessCriterion(since), None, None, "")
        found = await search.find(Audience([criterion]), table, None)
        assert len(found.rows) == size
    search.close()


async def permit_all(*table_and_shoppers: typing.Any) -> set[str]:
    return set(table_and_shoppers[-1])


@cache
def add_criterion_to_contract() -> FieldDescriptor:
    """Return a field that stands for a criterion that the contract has and nothing else knows."""
    file = FileDescriptorProto(name="recipe/criterion.proto", package="recipe", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    kind, oneof = file.message_type.add(name="FreshnessCriterion"), file.message_type.add(name="Criterion")
    add_message_field(kind, "since", ".google.protobuf.Timestamp")
    add_message_field(oneof, "freshness", ".recipe.FreshnessCriterion")
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindMessageTypeByName("recipe.Criterion").fields_by_name["freshness"]


def add_message_field(message: DescriptorProto, name: str, type_name: str) -> None:
    kind = FieldDescriptorProto.TYPE_MESSAGE
    message.field.add(name=name, number=1, type=kind, label=OPTIONAL, type_name=type_name)
