"""The runbook of a full disk, step by step, on a disk of 48 MiB under load: docs/operations/runbooks/full-disk.md."""

import asyncio
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from support.gateway import Stubs, run_gateway
from support.small_disk import fill_disk, free_disk, small_disk

from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.consent_service_pb2 import ForgetShopperRequest
from portrait.v1.consent_service_pb2_grpc import ConsentServiceStub
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import GetProfileRequest

CALLERS, BATCH = 16, 5
SECONDS = 60.0


@dataclass
class Caller:
    """Records events of one shopper, and sends what is refused again until it is stored."""

    shopper: str
    stored: int = 0
    duplicates: int = 0
    refusals: set[tuple[str, str, bool]] = field(default_factory=set)
    """Status, reason, and whether it says when to come back."""
    stopped: bool = False

    async def run(self, stubs: Stubs) -> None:
        while not self.stopped:
            request = self._batch()
            while not await self._send(stubs, request):
                await asyncio.sleep(0.02)

    def _batch(self) -> RecordEventsRequest:
        what = {"type": event_pb2.EVENT_TYPE_SEARCH, "query": "x" * 900, "time": datetime.now(UTC)}
        numbers = range(self.stored, self.stored + BATCH)
        sent = [{"shopper_id": self.shopper, "event": {"event_id": f"{self.shopper}-{n}", **what}} for n in numbers]
        return RecordEventsRequest(events=sent)

    async def _send(self, stubs: Stubs, request: RecordEventsRequest) -> bool:
        try:
            answer = await stubs.events.RecordEvents(request)
        except grpc.aio.AioRpcError as error:
            self.refusals.add(read_refusal(error))
            return False
        self.stored += len(answer.results)
        self.duplicates += answer.duplicates
        return True


def read_refusal(error: grpc.aio.AioRpcError) -> tuple[str, str, bool]:
    told = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert told is not None, error
    info = error_details_pb2.ErrorInfo()
    retries = [detail for detail in told.details if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR)]
    assert any(detail.Unpack(info) for detail in told.details)
    return error.code().name, info.reason, bool(retries)


async def count_events(stubs: Stubs, shopper: str) -> int:
    asked = GetProfileRequest(shopper=shopper_pb2.ShopperRef(shopper_id=shopper))
    return (await stubs.profiles.GetProfile(asked)).profile.event_count


async def until_all_store(callers: list[Caller]) -> None:
    """Wait until every caller has stored another batch."""
    before = [caller.stored for caller in callers]
    async with asyncio.timeout(SECONDS):
        while any(caller.stored == then for caller, then in zip(callers, before, strict=True)):
            await asyncio.sleep(0.02)


async def test_a_full_disk_refuses_loses_nothing_and_recovers(repository: Path, tmp_path: Path) -> None:
    callers = [Caller(f"s{number}") for number in range(CALLERS)]
    with small_disk(tmp_path / "disk", 48) as disk, run_gateway(repository, disk) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stubs = Stubs.over(channel)
            kept = Caller("kept")
            assert await kept._send(stubs, kept._batch())
            forgotten = Caller("forgotten")
            assert await forgotten._send(stubs, forgotten._batch())
            load = asyncio.gather(*(caller.run(stubs) for caller in callers))
            await until_all_store(callers)

            fill_disk(disk)
            async with asyncio.timeout(SECONDS):
                while not all(caller.refusals for caller in callers):
                    await asyncio.sleep(0.02)
            assert set().union(*(caller.refusals for caller in callers)) == {("RESOURCE_EXHAUSTED", "DISK_FULL", True)}
            assert gateway.line("storage_failure")["sqlite_errorname"] == "SQLITE_FULL"
            assert await count_events(stubs, "kept") == BATCH  # reads go on
            forget = ForgetShopperRequest(shopper_id="forgotten")
            assert (await ConsentServiceStub(channel).ForgetShopper(forget)).event_count == BATCH

            free_disk(disk)
            await until_all_store(callers)
            for caller in callers:
                caller.stopped = True
            await load
            # What was refused was not stored by half, and what was sent again is stored once.
            assert [caller.duplicates for caller in callers] == [0] * CALLERS
            assert [await count_events(stubs, each.shopper) for each in callers] == [each.stored for each in callers]
        assert gateway.process.poll() is None
        gateway.process.kill()
        gateway.process.wait()
        with sqlite3.connect(disk / "portrait.db") as connection:
            rows = connection.execute("SELECT COUNT(*), COUNT(DISTINCT event_id) FROM events").fetchone()
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        assert rows == (stored := sum(caller.stored for caller in callers) + BATCH, stored)
