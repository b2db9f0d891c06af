"""The loop of an ingestion: read, record, set aside what is no event, acknowledge."""

import asyncio
import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

from portrait.client import files
from portrait.client.errors import DeadlineExceededError, UnavailableError
from portrait.client.ingest.streams import Message, Stream, StreamError
from portrait.client.sync import Client

BATCH = 1_000
"""Messages of one call."""
_IN_FLIGHT = 3
"""Batches under way: one is parsed while the gateway stores another."""
_WAIT_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a batch is sent again to a gateway that could not take it."""
_FORGOTTEN, _EXPIRED = "SHOPPER_FORGOTTEN", "EVENT_EXPIRED"
_CURRENCY = ""
"""Nothing stands for it: the price of a message names its own currency."""


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


class Ingestion:
    """Moves events from a stream to a gateway.

    A message is acknowledged once the gateway has stored its event, so a crash repeats some and loses none; the gateway
    stores an event once. While the gateway refuses or is away, nothing more is read.

    Args:
        stream: where events come from.
        client: of the gateway.
    """

    def __init__(self, stream: Stream, client: Client) -> None:
        self._stream, self._client = stream, client
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
        events, dead = await asyncio.to_thread(self._parse, messages)
        pause = _FIRST_PAUSE
        while events:
            try:
                pairs = [(event.shopper_id, event.event) for event, _ in events]
                summary = await asyncio.to_thread(self._client.record_events, pairs)
                break
            except (UnavailableError, DeadlineExceededError) as error:
                if await self._is_stopped_within(max(pause, error.retry_after or 0.0)):
                    return  # not acknowledged: the stream delivers them again
                pause = min(2 * pause, _LONGEST_PAUSE)
        if events:
            self.counts.accepted += summary.accepted
            self.counts.duplicates += summary.duplicates
            for rejection in summary.rejected:
                if rejection.reason == _FORGOTTEN:
                    self.counts.forgotten += 1
                elif rejection.reason == _EXPIRED:
                    self.counts.expired += 1
                else:
                    dead.append((events[rejection.index][1], _tell(rejection.field, rejection.message)))
        with contextlib.suppress(StreamError):  # what is not acknowledged comes again
            for message, reason in dead:
                await self._stream.set_aside(message, reason)
            await self._stream.acknowledge(messages)
        self.counts.dead += len(dead)

    async def _is_stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _parse(
        self, messages: Sequence[Message]
    ) -> tuple[list[tuple[files.RecordedEvent, Message]], list[tuple[Message, str]]]:
        """Parse a batch; returns its events, and the messages that hold none, with the reason."""
        dead: list[tuple[Message, str]] = []
        # A line end within a message would make two lines of it: JSON needs none.
        lines = [message.payload.replace(b"\n", b" ") + b"\n" for message in messages]

        def reject(row: files.RejectedRow) -> None:
            dead.append((messages[row.line - 1], _tell(row.column, row.message)))

        try:
            read = list(files.read_events(io.BytesIO(b"".join(lines)), "stream", _CURRENCY, reject))
            return [(event, messages[event.line - 1]) for event in read], dead
        except files.FileError:
            return self._parse_each(messages, lines)

    def _parse_each(
        self, messages: Sequence[Message], lines: Sequence[bytes]
    ) -> tuple[list[tuple[files.RecordedEvent, Message]], list[tuple[Message, str]]]:
        """Parse each message of a batch in which one is no JSON."""
        events, dead = [], []
        for message, line in zip(messages, lines, strict=True):
            reasons: list[str] = []
            try:
                if not line.lstrip().startswith(b"{"):
                    raise files.FileError("stream", 1, "is no JSON object")
                events += [(event, message) for event in self._parse_one(line, reasons)]
            except files.FileError as error:
                reasons.append(str(error))
            dead += [(message, reason) for reason in reasons[:1]]
        return events, dead

    def _parse_one(self, line: bytes, reasons: list[str]) -> list[files.RecordedEvent]:
        """Parse a message; a reason why it is no event is added to `reasons`. Raises FileError if it is no JSON."""
        return list(files.read_events([line], "stream", _CURRENCY, lambda row: reasons.append(row.message)))


def _tell(field: str, message: str) -> str:
    return f"{field}: {message}" if field else message
