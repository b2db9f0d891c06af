"""Mixed load over several TLS connections with health checks on each, from a process of its own."""

import asyncio
import multiprocessing
import multiprocessing.pool
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import grpc
import uvloop
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from benchmarks.common.load import lost_events
from benchmarks.common.load.generator import Call
from portrait.v1 import consent_service_pb2, event_pb2
from portrait.v1.catalogue_service_pb2 import UpsertItemsRequest
from portrait.v1.event_service_pb2 import RecordEventsRequest, RecordEventsResponse

OK, SERVING, NOT_SERVING, WITHDRAWAL_LOST = "OK", "SERVING", "NOT_SERVING", "WITHDRAWAL_LOST"
CONNECTIONS = 4
DEADLINE = 10.0
HEALTH, READ, WRITE, ITEMS, CONSENT = "health", "read", "write", "items", "consent"

_HEALTH_PATH = "/grpc.health.v1.Health/Check"
_RECORD_PATH = "/portrait.v1.EventService/RecordEvents"
_UPSERT_PATH = "/portrait.v1.CatalogueService/UpsertItems"
_SET_PATH = "/portrait.v1.ConsentService/SetConsents"
_GET_PATH = "/portrait.v1.ConsentService/GetConsents"
_AFTER_FAILURE = 0.25
_SHOPPERS, _EVENTS = 50, 5
_OPTIONS = [
    # A connection of its own for each channel, whichever worker takes it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_reconnect_backoff_ms", 500),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one call."""

    connection: int
    kind: str
    sent: float
    """`time.monotonic()`, as all processes of a machine see it."""
    seconds: float
    code: str
    """Name of the gRPC status; for an answered health check, name of the health status."""
    shopper: str = ""
    accepted: int = 0
    """Number of the shopper's events that the response confirmed."""


@dataclass(frozen=True)
class MixedLoad:
    """A mixed load on a gateway."""

    address: str
    root_certificates: bytes
    """PEM of the authority that the gateway is recognised by."""
    reads: Sequence[Call]
    """Requests that need the models, made over and over."""
    item_ids: Sequence[str]
    """Items that events are recorded of."""
    seconds: float


def start_load(
    load: MixedLoad, caller: "type[Caller] | None" = None
) -> "multiprocessing.pool.AsyncResult[list[Outcome]]":
    """Start a load in another process; the result is ready when its time is over.

    Args:
        load: the load.
        caller: makes the calls of a connection; None for `Caller`.
    """
    pool = multiprocessing.get_context("spawn").Pool(1)
    running = pool.apply_async(_call_in_process, (load, caller or Caller))
    pool.close()
    return running


def _call_in_process(load: MixedLoad, caller: "type[Caller]") -> list[Outcome]:
    return uvloop.run(_call_all(load, caller))


async def _call_all(load: MixedLoad, caller: "type[Caller]") -> list[Outcome]:
    outcomes: list[Outcome] = []
    credentials = grpc.ssl_channel_credentials(load.root_certificates)
    end = time.monotonic() + load.seconds
    async with AsyncExitStack() as closing:
        callers = []
        for number in range(CONNECTIONS):
            channel = await closing.enter_async_context(grpc.aio.secure_channel(load.address, credentials, _OPTIONS))
            callers.append(caller(channel, number, load, outcomes))
        await asyncio.gather(
            *(caller.repeat(kind, make, end) for caller in callers for kind, make in caller.list_calls())
        )
    return outcomes


MakeCall = Callable[[int], Awaitable[None]]
"""Makes the calls of one turn; the argument counts the turns."""


class Caller:
    """All callers of one connection."""

    pauses: ClassVar[Mapping[str, float]] = {HEALTH: 0.25, READ: 0.05, WRITE: 0.1, ITEMS: 1.0, CONSENT: 0.5}
    """Seconds from an answer to the caller's next call, by kind."""

    def __init__(self, channel: grpc.aio.Channel, connection: int, load: MixedLoad, outcomes: list[Outcome]) -> None:
        self._channel, self._connection, self._load, self._outcomes = channel, connection, load, outcomes
        self._rng = random.Random(connection)

    def list_calls(self) -> list[tuple[str, MakeCall]]:
        """List what is called at the same time, with the kind of each."""
        first: list[tuple[str, MakeCall]] = [(ITEMS, self._upsert), (CONSENT, self._withdraw)]
        return [
            (HEALTH, self._check_health),
            *(2 * [(READ, self._read)]),
            (WRITE, self._record),
            *(first if self._connection == 0 else ()),
        ]

    async def repeat(self, kind: str, make: MakeCall, end: float) -> None:
        """Call until `end`, by `time.monotonic()`."""
        place = self._rng.randrange(1_000)
        while time.monotonic() < end:
            made = len(self._outcomes)
            await make(place)
            failed = any(each.code not in (OK, SERVING) for each in self._outcomes[made:] if each.kind == kind)
            await asyncio.sleep(_AFTER_FAILURE if failed else self.pauses[kind])
            place += 1

    async def _check_health(self, place: int) -> None:
        sent, code, answer = await self._call(_HEALTH_PATH, HealthCheckRequest().SerializeToString())
        if code == OK:
            code = HealthCheckResponse.ServingStatus.Name(HealthCheckResponse.FromString(answer).status)
        self._note(HEALTH, sent, code)

    async def _read(self, place: int) -> None:
        reads = self._load.reads
        call = reads[(place * CONNECTIONS + self._connection) % len(reads)]
        sent, code, _ = await self._call(call.path, call.request)
        self._note(READ, sent, code)

    async def _record(self, place: int) -> None:
        """Record views, each with an id of its own."""
        shopper = f"shopper-{self._connection}-{place % _SHOPPERS}"
        await self._record_events(WRITE, shopper, place, event_pb2.EVENT_TYPE_VIEW, datetime.now(UTC), _EVENTS)

    async def _record_events(
        self, kind: str, shopper: str, place: int, event_type: event_pb2.EventType, time_of_events: datetime, count: int
    ) -> None:
        events = [
            {
                "shopper_id": shopper,
                "event": event_pb2.Event(
                    event_id=f"{self._connection}-{place}-{nth}",
                    type=event_type,
                    item_id=self._rng.choice(self._load.item_ids),
                    time=time_of_events,
                ),
            }
            for nth in range(count)
        ]
        sent, code, answer = await self._call(_RECORD_PATH, RecordEventsRequest(events=events).SerializeToString())
        accepted = RecordEventsResponse.FromString(answer).accepted if code == OK else 0
        self._note(kind, sent, code, shopper, accepted)

    async def _upsert(self, place: int) -> None:
        item = {"item_id": f"ad-{place % 200}", "title": f"offer for {self._rng.choice(self._load.item_ids)}"}
        request = UpsertItemsRequest(catalogue="ads", items=[item])
        sent, code, _ = await self._call(_UPSERT_PATH, request.SerializeToString())
        self._note(ITEMS, sent, code)

    async def _withdraw(self, place: int) -> None:
        """Grant and withdraw in turn; once a withdrawal is answered, it must count."""
        shopper, withdrawn = f"asked-{place % _SHOPPERS}", place // _SHOPPERS % 2 == 1
        decision = (
            consent_service_pb2.CONSENT_DECISION_WITHDRAWN
            if withdrawn
            else consent_service_pb2.CONSENT_DECISION_GRANTED
        )
        said = consent_service_pb2.Consent(purpose=consent_service_pb2.PURPOSE_ADVERTISING, decision=decision)
        request = consent_service_pb2.SetConsentsRequest(shopper_id=shopper, consents=[said])
        sent, code, _ = await self._call(_SET_PATH, request.SerializeToString())
        if code == OK and withdrawn:
            asked = consent_service_pb2.GetConsentsRequest(shopper_id=shopper).SerializeToString()
            _, answered, answer = await self._call(_GET_PATH, asked)
            if answered == OK and _is_allowed(consent_service_pb2.GetConsentsResponse.FromString(answer)):
                code = WITHDRAWAL_LOST
        self._note(CONSENT, sent, code)

    async def _call(self, path: str, request: bytes) -> tuple[float, str, bytes]:
        sent = time.monotonic()
        try:
            answer = await self._channel.unary_unary(path, bytes, bytes)(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            return sent, error.code().name, b""
        return sent, OK, answer

    def _note(self, kind: str, sent: float, code: str, shopper: str = "", accepted: int = 0) -> None:
        seconds = time.monotonic() - sent
        self._outcomes.append(Outcome(self._connection, kind, sent, seconds, code, shopper, accepted))


def _is_allowed(answer: consent_service_pb2.GetConsentsResponse) -> bool:
    return any(each.allowed for each in answer.permissions if each.purpose == consent_service_pb2.PURPOSE_ADVERTISING)


def count_lost_events(address: str, root_certificates: bytes, accepted: Mapping[str, int]) -> int:
    """Count the events that were accepted and that the exports do not have, over TLS; see `lost_events`."""

    async def count() -> int:
        credentials = grpc.ssl_channel_credentials(root_certificates)
        async with grpc.aio.secure_channel(address, credentials) as channel:
            return await lost_events.count_lost_events(channel, accepted)

    return asyncio.run(count())
