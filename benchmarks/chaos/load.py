"""Mixed load over several TLS connections with health checks on each, from a process of its own."""

import asyncio
import multiprocessing
import multiprocessing.pool
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
import uvloop
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

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
_PAUSES = {HEALTH: 0.25, READ: 0.05, WRITE: 0.1, ITEMS: 1.0, CONSENT: 0.5}
"""Seconds from an answer to the caller's next call."""
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


def start_load(
    address: str, root_certificates: bytes, reads: Sequence[Call], item_ids: Sequence[str], seconds: float
) -> "multiprocessing.pool.AsyncResult[list[Outcome]]":
    """Start the load in another process; the result is ready after `seconds`.

    Args:
        address: of the gateway.
        root_certificates: PEM of the authority that the gateway is recognised by.
        reads: requests that need the models, made over and over.
        item_ids: that events are recorded of.
        seconds: how long.
    """
    pool = multiprocessing.get_context("spawn").Pool(1)
    running = pool.apply_async(_call_in_process, (address, root_certificates, reads, item_ids, seconds))
    pool.close()
    return running


def _call_in_process(
    address: str, root_certificates: bytes, reads: Sequence[Call], item_ids: Sequence[str], seconds: float
) -> list[Outcome]:
    return uvloop.run(_call_all(address, root_certificates, reads, item_ids, seconds))


async def _call_all(
    address: str, root_certificates: bytes, reads: Sequence[Call], item_ids: Sequence[str], seconds: float
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    credentials = grpc.ssl_channel_credentials(root_certificates)
    end = time.monotonic() + seconds
    async with AsyncExitStack() as closing:
        callers = []
        for number in range(CONNECTIONS):
            channel = await closing.enter_async_context(grpc.aio.secure_channel(address, credentials, _OPTIONS))
            callers.append(_Caller(channel, number, outcomes))
        await asyncio.gather(*(each for caller in callers for each in caller.begin(reads, item_ids, end)))
    return outcomes


class _Caller:
    """All callers of one connection."""

    def __init__(self, channel: grpc.aio.Channel, connection: int, outcomes: list[Outcome]) -> None:
        self._channel, self._connection, self._outcomes = channel, connection, outcomes
        self._rng = random.Random(connection)

    def begin(self, reads: Sequence[Call], item_ids: Sequence[str], end: float) -> list[Awaitable[None]]:
        """Call until `end`, by `time.monotonic()`."""
        makers: list[Callable[[int], Awaitable[None]]] = [
            self._check_health,
            *(2 * [lambda place: self._read(reads, place)]),
            lambda place: self._record(item_ids, place),
        ]
        kinds = [HEALTH, READ, READ, WRITE]
        if self._connection == 0:
            makers += [lambda place: self._upsert(item_ids, place), self._withdraw]
            kinds += [ITEMS, CONSENT]
        return [self._repeat(make, kind, end) for make, kind in zip(makers, kinds, strict=True)]

    async def _repeat(self, make: Callable[[int], Awaitable[None]], kind: str, end: float) -> None:
        place = self._rng.randrange(1_000)
        while time.monotonic() < end:
            made = len(self._outcomes)
            await make(place)
            failed = any(each.code not in (OK, SERVING) for each in self._outcomes[made:] if each.kind == kind)
            await asyncio.sleep(_AFTER_FAILURE if failed else _PAUSES[kind])
            place += 1

    async def _check_health(self, place: int) -> None:
        sent, code, answer = await self._call(_HEALTH_PATH, HealthCheckRequest().SerializeToString())
        if code == OK:
            code = HealthCheckResponse.ServingStatus.Name(HealthCheckResponse.FromString(answer).status)
        self._note(HEALTH, sent, code)

    async def _read(self, reads: Sequence[Call], place: int) -> None:
        call = reads[(place * CONNECTIONS + self._connection) % len(reads)]
        sent, code, _ = await self._call(call.path, call.request)
        self._note(READ, sent, code)

    async def _record(self, item_ids: Sequence[str], place: int) -> None:
        """Record views, each with an id of its own."""
        shopper = f"shopper-{self._connection}-{place % _SHOPPERS}"
        ids = [f"{self._connection}-{place}-{nth}" for nth in range(_EVENTS)]
        events = [
            {
                "shopper_id": shopper,
                "event": event_pb2.Event(
                    event_id=event_id,
                    type=event_pb2.EVENT_TYPE_VIEW,
                    item_id=self._rng.choice(item_ids),
                    time=datetime.now(UTC),
                ),
            }
            for event_id in ids
        ]
        sent, code, answer = await self._call(_RECORD_PATH, RecordEventsRequest(events=events).SerializeToString())
        accepted = RecordEventsResponse.FromString(answer).accepted if code == OK else 0
        self._note(WRITE, sent, code, shopper, accepted)

    async def _upsert(self, item_ids: Sequence[str], place: int) -> None:
        item = {"item_id": f"ad-{place % 200}", "title": f"offer for {self._rng.choice(item_ids)}"}
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
