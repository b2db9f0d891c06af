"""The loop of an ingestion: read, record, set aside what is no event, acknowledge."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from portrait.client import calls
from portrait.client.errors import DeadlineExceededError, UnavailableError
from portrait.client.ingest.event_parser import EventError, add_event
from portrait.client.ingest.streams import Message, Stream, StreamError
from portrait.client.sync import Client
from portrait.features.logs.order_status import describe_called_off
from portrait.v1.event_service_pb2 import RecordEventsRequest

BATCH = 1_000
"""Messages of one call."""
_IN_FLIGHT = 3
"""Batches under way: one is parsed while the gateway stores another."""
_WAIT_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a batch is sent again to a gateway that could not take it."""
_FORGOTTEN, _EXPIRED = "SHOPPER_FORGOTTEN", "EVENT_EXPIRED"


@dataclass
class IngestCounts:
    """Counts of the messages so far, by their outcome."""

    accepted: int = 0
    duplicates: int = 0
    dead: int = 0
    """Messages that are no valid event, or contradict one of the same id."""
    forgotten: int = 0
    """Events of shoppers who were forgotten since; they are kept nowhere."""
    expired: int = 0
    """Events that are older than the gateway keeps events of their type; they are kept nowhere."""
    called_off: int = 0
    """Purchases that their messages say were called off; they are among the others, as purchases."""


@dataclass
class _Batch:
    """Messages that were read."""

    request: RecordEventsRequest
    events: list[Message]
    """The message of each event of the request."""
    dead: list[tuple[Message, str]]
    """The messages that hold no event, with the reason."""
    called_off: Counter[str] = field(default_factory=Counter)
    """Purchases that were called off, by the key that says so."""


class Ingestion:
    """Moves events from a stream to a gateway.

    A message is acknowledged once the gateway has stored its event, so a crash repeats some and loses none; the gateway
    stores an event once. While the gateway refuses or is away, nothing more is read.

    Args:
        stream: where events come from.
        client: of the gateway.
        warn: called with what a person should know of the messages, once.
    """

    def __init__(self, stream: Stream, client: Client, warn: Callable[[str], None]) -> None:
        self._stream, self._client, self._warn = stream, client, warn
        self._warned: set[str] = set()
        self._stop = asyncio.Event()
        self.counts = IngestCounts()

    def stop(self) -> None:
        """End after the batches under way; those that the gateway does not take stay in the stream."""
        self._stop.set()

    async def run(self, *, until_caught_up: bool = False) -> IngestCounts:
        """Ingest until `stop`, or until the stream is empty.

        Raises:
            PortraitError: the gateway refuses calls for a reason that does not pass.
        """
        batches: set[asyncio.Task[None]] = set()
        try:
            while not self._stop.is_set():
                if len(batches) >= _IN_FLIGHT:
                    batches = await self._wait_for_one(batches)
                messages = await self._read()
                if messages:
                    batches.add(asyncio.create_task(self._ingest(messages)))
                elif batches:
                    batches = await self._wait_for_one(batches)
                elif until_caught_up:
                    break
            await asyncio.gather(*batches)
        finally:
            for batch in batches:
                batch.cancel()
        return self.counts

    async def _read(self) -> list[Message]:
        """Read the next messages; waits for a broker that does not answer."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._stream.read(BATCH, _WAIT_SECONDS)
            except StreamError:
                if await self._is_stopped_within(pause):
                    return []
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _wait_for_one(self, batches: "set[asyncio.Task[None]]") -> "set[asyncio.Task[None]]":
        done, running = await asyncio.wait(batches, return_when=asyncio.FIRST_COMPLETED)
        for batch in done:
            batch.result()  # raises what ended it
        return running

    async def _ingest(self, messages: Sequence[Message]) -> None:
        batch = await asyncio.to_thread(_parse, messages)
        if batch.events and not await self._record(batch):
            return  # not acknowledged: the stream delivers them again
        await self._finish(batch, messages)

    async def _finish(self, batch: _Batch, messages: Sequence[Message]) -> None:
        """Set aside what is dead and acknowledge the batch, as soon as the broker takes it."""
        pause = _FIRST_PAUSE
        while True:
            try:
                while batch.dead:
                    await self._stream.set_aside(*batch.dead[-1])
                    batch.dead.pop()
                    self.counts.dead += 1
                await self._stream.acknowledge(messages)
            except StreamError:
                if await self._is_stopped_within(pause):
                    return  # not acknowledged: the stream delivers them again
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    async def _record(self, batch: _Batch) -> bool:
        """Record the events of a batch, as soon as the gateway takes them; False if the ingestion ends before."""
        pause = _FIRST_PAUSE
        while True:
            try:
                summary = await asyncio.to_thread(self._client.send, calls.record_request(batch.request))
                break
            except (UnavailableError, DeadlineExceededError) as error:
                if await self._is_stopped_within(max(pause, error.retry_after or 0.0)):
                    return False
                pause = min(2 * pause, _LONGEST_PAUSE)
        self._note_called_off(batch.called_off)
        self.counts.accepted += summary.accepted
        self.counts.duplicates += summary.duplicates
        for rejection in summary.rejected:
            if rejection.reason == _FORGOTTEN:
                self.counts.forgotten += 1
            elif rejection.reason == _EXPIRED:
                self.counts.expired += 1
            else:
                batch.dead.append((batch.events[rejection.index], _tell(rejection.field, rejection.message)))
        return True

    def _note_called_off(self, purchases: Counter[str]) -> None:
        self.counts.called_off += purchases.total()
        for key in purchases.keys() - self._warned:
            self._warned.add(key)
            self._warn(describe_called_off(purchases[key], key))

    async def _is_stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _parse(messages: Sequence[Message]) -> _Batch:
    batch = _Batch(RecordEventsRequest(), [], [])
    for message in messages:
        try:
            called_off_by = add_event(batch.request, message.payload)
        except EventError as error:
            batch.dead.append((message, str(error)))
        else:
            batch.events.append(message)
            batch.called_off.update(filter(None, [called_off_by]))
    return batch


def _tell(field: str, message: str) -> str:
    return f"{field}: {message}" if field else message
