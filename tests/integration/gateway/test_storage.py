"""The state file is locked, or its disk is full: callers are told so, nothing is half done, nobody loses an event."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from support.gateway import RunningGateway, Stubs, run_gateway
from support.small_disk import fill_disk, free_disk, small_disk

from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, GetItemRequest, UpsertItemsRequest
from portrait.v1.consent_service_pb2 import ForgetShopperRequest, SetConsentsRequest
from portrait.v1.consent_service_pb2_grpc import ConsentServiceStub
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import GetProfileRequest

ITEM: dict[str, Any] = {"item_id": "new", "title": "Purple desk lamp"}


def events(shopper: str, first: int, count: int) -> RecordEventsRequest:
    view = {"type": event_pb2.EVENT_TYPE_SEARCH, "query": "x" * 900, "time": datetime.now(UTC)}
    sent = [
        {"shopper_id": shopper, "event": {"event_id": f"{shopper}-{n}", **view}} for n in range(first, first + count)
    ]
    return RecordEventsRequest(events=sent)


async def status(call: Awaitable[object]) -> tuple[str, bool]:
    """Status of a call that fails, and whether it says when to come back."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        told = rpc_status.from_call(error)
        assert told is not None
        return error.code().name, any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in told.details)
    raise AssertionError("the call was answered")


@contextmanager
def locked(path: str) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def test_what_could_not_be_stored_changes_nothing(gateway: RunningGateway, stubs: Stubs, shopper: str) -> None:
    catalogue = f"catalogue-{uuid4().hex}"
    consents = ConsentServiceStub(stubs.channel)
    await stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue=catalogue, items=[ITEM | {"item_id": "old"}]))
    withdrawal = {"purpose": "PURPOSE_ADVERTISING", "decision": "CONSENT_DECISION_WITHDRAWN"}
    with locked(gateway.argument("--state")):
        told = await asyncio.gather(
            status(stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue=catalogue, items=[ITEM]))),
            status(stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue=f"{catalogue}-2", items=[ITEM]))),
            status(stubs.catalogue.DeleteItems(DeleteItemsRequest(catalogue=catalogue, item_ids=["old"]))),
            status(stubs.events.RecordEvents(events(shopper, 0, 1))),
            status(consents.ForgetShopper(ForgetShopperRequest(shopper_id=shopper))),
            status(consents.SetConsents(SetConsentsRequest(shopper_id=shopper, consents=[withdrawal]))),
        )
    assert set(told) == {("UNAVAILABLE", True)}
    assert gateway.line("storage_failure")["sqlite_errorname"] == "SQLITE_BUSY"
    for name in (catalogue, f"{catalogue}-2"):
        missing = stubs.catalogue.GetItem(GetItemRequest(catalogue=name, item_id="new"))
        assert (await status(missing))[0] == "NOT_FOUND"
    assert (await stubs.catalogue.GetItem(GetItemRequest(catalogue=catalogue, item_id="old"))).item.title
    assert (await stubs.events.RecordEvents(events(shopper, 0, 1))).accepted == 1


async def _record_until_killed(stubs: Stubs, shopper: str, acknowledged: list[str]) -> None:
    for number in range(1_000_000):
        try:
            answer = await stubs.events.RecordEvents(events(shopper, number, 1))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                await asyncio.sleep(0.01)
                continue
            return
        acknowledged += [result.event_id for result in answer.results]


async def test_a_full_disk_and_then_a_kill(repository: Path, shared_triton: tuple[str, str], tmp_path: Path) -> None:
    acknowledged: list[str] = []
    with small_disk(tmp_path / "disk", 48) as disk:
        with run_gateway(repository, disk, *shared_triton) as gateway:
            async with grpc.aio.insecure_channel(gateway.address) as channel:
                stubs = Stubs.over(channel)
                for shopper in ("ann", "bob"):
                    assert (await stubs.events.RecordEvents(events(shopper, 0, 500))).accepted == 500
                fill_disk(disk)
                assert await status(stubs.events.RecordEvents(events("eve", 0, 999))) == ("RESOURCE_EXHAUSTED", True)
                items = [ITEM | {"item_id": f"i{n}", "title": "x" * 400} for n in range(500)]
                upsert = stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue="ads", items=items))
                assert await status(upsert) == ("RESOURCE_EXHAUSTED", True)
                item = stubs.catalogue.GetItem(GetItemRequest(catalogue="ads", item_id="i1"))
                assert (await status(item))[0] == "NOT_FOUND"
                asked = GetProfileRequest(shopper=shopper_pb2.ShopperRef(shopper_id="bob"))
                assert (await stubs.profiles.GetProfile(asked)).profile.event_count == 500
                forget = ForgetShopperRequest(shopper_id="ann")
                assert (await ConsentServiceStub(channel).ForgetShopper(forget)).event_count == 500
                free_disk(disk)
                assert gateway.line("storage_failure")["sqlite_errorname"] == "SQLITE_FULL"
                assert "internal_error" not in {line["event"] for line in gateway.logged}
                load = [_record_until_killed(stubs, f"s{n}", acknowledged) for n in range(32)]
                running = asyncio.gather(*load)
                async with asyncio.timeout(60):
                    while len(acknowledged) <= 200:
                        await asyncio.sleep(0.01)
                gateway.process.kill()
                await running
        with sqlite3.connect(disk / "portrait.db") as connection:
            stored = {event_id for (event_id,) in connection.execute("SELECT event_id FROM events")}
        connection.close()
    assert set(acknowledged) <= stored
