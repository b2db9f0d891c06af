"""The gate of admission control: work is accepted or refused before it costs anything."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from portrait.server.admission.callers import Callers
from portrait.server.admission.latency import LatencyTracker
from portrait.server.admission.limit import MIN_LIMIT, GradientLimit
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, Overloaded

MAX_WAIT_SECONDS = 0.05
"""Seconds that interactive work may wait for units that batch work or a burst has taken."""
BATCH_SHARE = 0.8
"""Batch work is accepted up to this share of the limit; the rest is kept for interactive work."""

_MAX_WAITING_SHARE = 0.25
"""The gate is full when as many pieces of work wait as this share of the limit."""
_MAX_CALL_SHARE = 0.5
"""A call that costs more than this share of the limit counts as this share, or it could never be accepted. Only one
such large call at a time goes on once its cost is known."""
MAX_UNITS = 512
"""A call of more units is always refused: it would shut out all other large calls for seconds."""
MAX_LARGE_WAIT_SECONDS = 0.25
"""Seconds that a large call may wait for the one before it."""
_BUSY_SHARE = 0.9
"""Share of the limit from which on calls are expected to take as long as the slow ones do."""
_FULL = "as much as can be done at one time is under way"
_LARGE_UNDER_WAY = "another large call is under way"
_RETRY_SECONDS = 0.5
_BATCH_RETRY_SECONDS = 2.0


class Priority(StrEnum):
    """The urgency of work."""

    INTERACTIVE = "interactive"
    """Somebody waits for the response."""
    BATCH = "batch"
    """Nobody waits: such work gets what is left, and is refused first."""


class WorkOutcome(StrEnum):
    """The end of accepted work."""

    DONE = "done"
    LATE = "late"
    """Its deadline passed."""
    FAILED = "failed"
    """It failed or was cancelled, which tells nothing about the latency of such work."""


class Refusal(StrEnum):
    """The limit for which work was refused."""

    LIMIT = "limit"
    CALLER = "caller"
    DEADLINE = "deadline"


_REASONS = {
    Refusal.LIMIT: ErrorReason.GATEWAY_FULL,
    Refusal.CALLER: ErrorReason.CALLER_OVER_SHARE,
    Refusal.DEADLINE: ErrorReason.DEADLINE_TOO_SHORT,
}
"""The reason that the caller of refused work gets."""


@dataclass(frozen=True, slots=True)
class Work:
    """Work that asks to be accepted."""

    method: str
    units: int
    priority: Priority
    caller: str
    deadline: float
    """The deadline, by `loop.time()`; infinite without one."""


@dataclass(slots=True)
class Ticket:
    """Accepted work."""

    work: Work
    requested_units: int
    """The units of the work as far as they are known; at first an estimate."""
    units: int
    """The units that it counts as: `requested_units` up to the maximum of one call."""
    caller: str
    """The name that it is counted under."""
    since: float
    unloaded: bool
    """True if almost nothing else was running when it was accepted."""
    large: bool = False
    """True if it holds the slot of large calls."""


class _Room(NamedTuple):
    """Units that a part of a stream holds."""

    caller: str
    """The name that they are counted under."""
    units: int


class Gate:
    """Accepts work up to a limit that adapts to latency.

    Args:
        maximum: the highest limit, in units that run at the same time.
        caller_share: share of the limit that one caller may use while others are active, 0 to 1.
    """

    def __init__(self, maximum: int, caller_share: float) -> None:
        self._limit = GradientLimit(maximum)
        self._callers = Callers(caller_share)
        self._latencies: dict[str, LatencyTracker] = {}
        self._waiting: deque[tuple[Work, int, asyncio.Future[None]]] = deque()
        self._waiting_parts: deque[tuple[Work, asyncio.Future[_Room]]] = deque()
        # Retries are spread at random: calls that are refused together must not come back together.
        self._random = random.Random()  # noqa: S311 - nothing secret
        self.under_way = 0
        """Units that run."""
        self.admitted: Counter[Priority] = Counter()
        self.refused: Counter[tuple[Priority, Refusal]] = Counter()
        self.units: Counter[Priority] = Counter()
        """Units of all work that has ended."""
        self._large_slot = asyncio.Lock()
        """Held by the one large call that goes on."""

    @property
    def limit(self) -> float:
        """The current limit, in units that run at the same time."""
        return self._limit.value

    @property
    def is_full(self) -> bool:
        """True if the queue is full, so that no work would be accepted now."""
        return len(self._waiting) >= max(1.0, _MAX_WAITING_SHARE * self.limit)

    def shed(self, priority: Priority, caller: str) -> Overloaded:
        """Refuse work of a call that was not read, because the gate is full."""
        self._callers.note_request(caller, asyncio.get_running_loop().time())
        return self._refusal(priority, Refusal.LIMIT, _FULL)

    async def enter(self, work: Work) -> Ticket:
        """Accept work. The caller of this method gives the ticket back with `leave`.

        Raises:
            Overloaded: the limit is reached, or the work can't be done before its deadline.
        """
        now = asyncio.get_running_loop().time()
        units = min(work.units, self._max_call_units)
        caller = self._callers.note_request(work.caller, now)
        self._require_time(work, now)
        await self._reserve(work, caller, units, now)
        self.admitted[work.priority] += 1
        alone = self.under_way - units < MIN_LIMIT
        return Ticket(work, units, units, caller, asyncio.get_running_loop().time(), alone)

    async def resize(self, ticket: Ticket, units: int) -> None:
        """Correct the units of accepted work before its expensive part.

        Args:
            ticket: the ticket of the work.
            units: the units of the whole work.

        Raises:
            FailedPrecondition: one call may not have so many units.
            Overloaded: the limit is reached; the ticket does not change.
        """
        if units > MAX_UNITS:
            raise FailedPrecondition(
                f"the call is {units} units of work, and one call may be {MAX_UNITS}; ask for less, or of less",
                ErrorReason.CALL_TOO_EXPENSIVE,
            )
        maximum = self._max_call_units
        if units > maximum and not ticket.large:
            await self._wait_for_large(ticket)
        more = min(units, maximum) - ticket.units
        if more > 0:
            now = asyncio.get_running_loop().time()
            await self._reserve(ticket.work, self._callers.note_request(ticket.caller, now), more, now, ticket.units)
        elif more < 0:
            self._release(ticket.caller, -more)
        ticket.units += more
        ticket.requested_units = units

    @asynccontextmanager
    async def hold(self, part: Work) -> AsyncIterator[None]:
        """Hold the units of one part of a stream, which waits for room where a call would be refused.

        It goes on when batch work has room and no interactive work waits. So a stream is slow while the gateway has
        other work, and nothing of it is lost.

        Args:
            part: the part of the stream.
        """
        room = (None if self._waiting_parts else self._find_room(part)) or await self._wait_for_room(part)
        try:
            yield
        finally:
            self.units[part.priority] += part.units
            self._release(*room)

    def leave(self, ticket: Ticket, outcome: WorkOutcome) -> None:
        """Give a ticket back.

        Args:
            ticket: the ticket of the work.
            outcome: the end of the work; the latency of completed work adapts the limit.
        """
        if outcome is not WorkOutcome.FAILED and ticket.work.units == 1 and not ticket.large:
            self._record_latency(ticket, outcome)
        self.units[ticket.work.priority] += ticket.requested_units
        self._release(ticket.caller, ticket.units)
        if ticket.large:
            self._large_slot.release()

    @property
    def _max_call_units(self) -> int:
        """The most units that one call counts as."""
        return max(1, int(_MAX_CALL_SHARE * self.limit))

    async def _wait_for_large(self, ticket: Ticket) -> None:
        """Take the slot of large calls."""
        try:
            async with asyncio.timeout(MAX_LARGE_WAIT_SECONDS):
                await self._large_slot.acquire()
        except TimeoutError:
            raise self._refusal(ticket.work.priority, Refusal.LIMIT, _LARGE_UNDER_WAY) from None
        ticket.large = True

    async def _reserve(self, work: Work, caller: str, units: int, now: float, held: int = 0) -> None:
        """Reserve units for a caller that has just asked, beside the `held` units of the same call."""
        if not self._callers.allows(caller, units, self.limit, now, held):
            raise self._refusal(
                work.priority, Refusal.CALLER, "this caller has its share of what can be done at one time"
            )
        # Counted while it waits too, or one caller could queue for more than its share.
        self._callers.acquire(caller, units)
        try:
            await self._reserve_units(work, units)
        except BaseException:
            self._callers.release(caller, units)
            raise

    def _release(self, caller: str, units: int) -> None:
        self.under_way -= units
        self._callers.release(caller, units)
        self._wake()

    async def _reserve_units(self, work: Work, units: int) -> None:
        """Reserve units below the limit; interactive work may wait for them a little."""
        limit = self.limit if work.priority is Priority.INTERACTIVE else BATCH_SHARE * self.limit
        if not self._waiting and self.under_way + units <= limit:
            self.under_way += units
        elif work.priority is Priority.INTERACTIVE:
            await self._wait(work, units)
        else:
            raise self._refusal(work.priority, Refusal.LIMIT, _FULL)

    async def _wait(self, work: Work, units: int) -> None:
        """Wait for units in the order of arrival; they are reserved when this returns."""
        if self.is_full:
            raise self._refusal(work.priority, Refusal.LIMIT, _FULL)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, units, turn))
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.under_way -= units  # it was woken with its units, but can't use them any more
            turn.cancel()
            self._wake()
            if isinstance(error, TimeoutError):
                raise self._refusal(work.priority, Refusal.LIMIT, _FULL) from None
            raise

    def _wake(self) -> None:
        """Give free units to the work that waits."""
        while self._waiting:
            _, units, turn = self._waiting[0]
            if not turn.done():
                if self.under_way + units > self.limit:
                    return
                self.under_way += units
                turn.set_result(None)
            self._waiting.popleft()
        self._wake_parts()

    def _wake_parts(self) -> None:
        """Give free units to parts of streams, in the order in which they came."""
        for _ in range(len(self._waiting_parts)):
            part, turn = self._waiting_parts.popleft()
            if turn.done():
                continue
            if (room := self._find_room(part)) is None:
                self._waiting_parts.appendleft((part, turn))
                return
            turn.set_result(room)

    def _find_room(self, part: Work) -> _Room | None:
        """Reserve units for a part of a stream; None if it must wait.

        There is room as soon as nothing else runs, and for a caller without running work whatever its share. So each
        part that waits is woken by work that ends.
        """
        units = min(part.units, self._max_call_units)  # of the limit as it is now: it may have sunk
        if self._waiting or (self.under_way and self.under_way + units > BATCH_SHARE * self.limit):
            return None
        now = asyncio.get_running_loop().time()
        caller = self._callers.note_request(part.caller, now)
        if not self._callers.allows(caller, units, self.limit, now):
            return None
        self.under_way += units
        self._callers.acquire(caller, units)
        return _Room(caller, units)

    async def _wait_for_room(self, part: Work) -> _Room:
        turn: asyncio.Future[_Room] = asyncio.get_running_loop().create_future()
        self._waiting_parts.append((part, turn))
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._release(*turn.result())  # it was given units, but can't use them any more
            turn.cancel()
            raise

    def _require_time(self, work: Work, now: float) -> None:
        """Refuse work that will miss its deadline, judged by the current latency of its method."""
        latency = self._latencies.get(work.method)
        if latency is None or work.units > 1:
            return
        busy = self.under_way >= _BUSY_SHARE * self.limit
        needed = latency.high_quantile(now) if busy else latency.low_quantile(now)
        if work.deadline - now < needed:
            message = f"such calls take {1000 * needed:.0f} ms at present, longer than the time left"
            raise self._refusal(work.priority, Refusal.DEADLINE, message)

    def _refusal(self, priority: Priority, reason: Refusal, message: str) -> Overloaded:
        self.refused[priority, reason] += 1
        seconds = _RETRY_SECONDS if priority is Priority.INTERACTIVE else _BATCH_RETRY_SECONDS
        return Overloaded(message, seconds * self._random.uniform(0.5, 1.5), _REASONS[reason])

    def _record_latency(self, ticket: Ticket, outcome: WorkOutcome) -> None:
        now = asyncio.get_running_loop().time()
        latency = self._latencies.setdefault(ticket.work.method, LatencyTracker())
        seconds = now - ticket.since
        if outcome is WorkOutcome.DONE:
            latency.record(now, seconds, ticket.unloaded)
        slowness = seconds / latency.tolerated_seconds(ticket.work.deadline - ticket.since)
        if self._limit.sample(now, slowness, self.under_way):
            for each in self._latencies.values():
                each.update_quantiles()
