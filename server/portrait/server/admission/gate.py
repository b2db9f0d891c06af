"""The gate that work passes before it costs anything: it is let in, or refused at once."""

import asyncio
import random
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum

from portrait.server.admission.callers import Callers
from portrait.server.admission.latency import LatencyTracker
from portrait.server.admission.limit import MIN_LIMIT, GradientLimit
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, Overloaded

MAX_WAIT_SECONDS = 0.05
"""How long interactive work may wait for a place, which batch work or a burst has taken."""
BATCH_SHARE = 0.8
"""Batch work is let in up to this share of the limit: the rest is room for interactive work to come."""

_WAITING_SHARE = 0.25
_LARGEST_SHARE = 0.5
"""A call that costs more than this share of the limit counts as this share, or it could never be let in; but of such
calls one at a time goes on when its cost is known."""
MAX_UNITS = 512
"""A call of more is refused for good: it would keep all others of its size out for seconds."""
MAX_LARGE_WAIT_SECONDS = 0.25
"""How long a large call may wait for the one before it."""
_FULL_SHARE = 0.9
_FULL = "as much as can be done at one time is under way"
_LARGE_UNDER_WAY = "another large call is under way"
_RETRY_SECONDS = 0.5
_BATCH_RETRY_SECONDS = 2.0


class Priority(StrEnum):
    """Which work goes first."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BATCH = "batch"
    """Nobody does: it gets what is left, and is shed first."""


class WorkOutcome(StrEnum):
    """How work that was let in ended."""

    DONE = "done"
    LATE = "late"
    """Its time was up before."""
    LOST = "lost"
    """It failed or was taken back, which says nothing of how long such work takes."""


class Refusal(StrEnum):
    """Why work was refused."""

    LIMIT = "limit"
    CALLER = "caller"
    DEADLINE = "deadline"


_REASONS = {
    Refusal.LIMIT: ErrorReason.GATEWAY_FULL,
    Refusal.CALLER: ErrorReason.CALLER_OVER_SHARE,
    Refusal.DEADLINE: ErrorReason.DEADLINE_TOO_SHORT,
}
"""The cause of each refusal, as callers' programs read it."""


@dataclass(frozen=True, slots=True)
class Work:
    """What asks to be let in."""

    method: str
    units: int
    priority: Priority
    caller: str
    deadline: float
    """`loop.time()` at which its caller's time is up."""


@dataclass(slots=True)
class Ticket:
    """Work that was let in."""

    work: Work
    requested_units: int
    """Units of all of it, as far as is known: at first what it counts as."""
    units: int
    """What it counts as."""
    caller: str
    """Who it counts for."""
    since: float
    unloaded: bool
    """Whether next to nothing else was under way when it came."""
    large: bool = False
    """Whether it has the place of large calls."""


class Gate:
    """Lets work in up to a limit that adapts to latency.

    Args:
        maximum: units that may be under way at one time, however fast they are.
        caller_share: of the limit, that one caller may have while others want some, 0 to 1.
    """

    def __init__(self, maximum: int, caller_share: float) -> None:
        self._limit = GradientLimit(maximum)
        self._callers = Callers(caller_share)
        self._latencies: dict[str, LatencyTracker] = {}
        self._waiting: deque[tuple[Work, int, asyncio.Future[None]]] = deque()
        # When many are refused at one moment, they shall not come back at one moment.
        self._random = random.Random()  # noqa: S311 - nothing secret
        self.under_way = 0
        """Units."""
        self.admitted: Counter[Priority] = Counter()
        self.refused: Counter[tuple[Priority, Refusal]] = Counter()
        self.units: Counter[Priority] = Counter()
        """Of all calls that have ended."""
        self._large = asyncio.Lock()
        """Held by the one large call that goes on."""

    @property
    def limit(self) -> float:
        """Units that may be under way at one time, at present."""
        return self._limit.value

    @property
    def is_full(self) -> bool:
        """Whether no work whatever would be let in now: as many as may wait for a place do."""
        return len(self._waiting) >= max(1.0, _WAITING_SHARE * self.limit)

    def shed(self, priority: Priority, caller: str) -> Overloaded:
        """Refuse work of which no more is known; the gate is full."""
        self._callers.note_request(caller, asyncio.get_running_loop().time())
        return self._refused(priority, Refusal.LIMIT, _FULL)

    async def enter(self, work: Work) -> Ticket:
        """Let work in; whoever gets a ticket gives it back by `leave`.

        Raises:
            Overloaded: there is no place for it, or it can't be done in its time.
        """
        now = asyncio.get_running_loop().time()
        units = min(work.units, self._largest)
        caller = self._callers.note_request(work.caller, now)
        self._refuse_late(work, now)
        await self._take(work, caller, units, now)
        self.admitted[work.priority] += 1
        alone = self.under_way - units < MIN_LIMIT
        return Ticket(work, units, units, caller, asyncio.get_running_loop().time(), alone)

    async def resize(self, ticket: Ticket, units: int) -> None:
        """Count work that was let in as what it has turned out to be, before the costly part of it.

        Args:
            ticket: what `enter` gave.
            units: of all of the work.

        Raises:
            FailedPrecondition: no call may be so much work.
            Overloaded: there is no place for so much; the ticket stays what it was.
        """
        if units > MAX_UNITS:
            raise FailedPrecondition(
                f"the call is {units} units of work, and one call may be {MAX_UNITS}; ask for less, or of less",
                ErrorReason.CALL_TOO_EXPENSIVE,
            )
        largest = self._largest
        if units > largest and not ticket.large:
            await self._wait_for_large(ticket)
        more = min(units, largest) - ticket.units
        if more > 0:
            now = asyncio.get_running_loop().time()
            await self._take(ticket.work, self._callers.note_request(ticket.caller, now), more, now, ticket.units)
        elif more < 0:
            self._give_back(ticket.caller, -more)
        ticket.units += more
        ticket.requested_units = units

    def leave(self, ticket: Ticket, end: WorkOutcome) -> None:
        """Give a place back.

        Args:
            ticket: what `enter` gave.
            end: how the work ended; what it took tells how loaded the gateway is.
        """
        if end is not WorkOutcome.LOST and ticket.work.units == 1 and not ticket.large:
            self._learn(ticket, end)
        self.units[ticket.work.priority] += ticket.requested_units
        self._give_back(ticket.caller, ticket.units)
        if ticket.large:
            self._large.release()

    @property
    def _largest(self) -> int:
        """Units that one call counts as, at most."""
        return max(1, int(_LARGEST_SHARE * self.limit))

    async def _wait_for_large(self, ticket: Ticket) -> None:
        """Get the place of large calls."""
        try:
            async with asyncio.timeout(MAX_LARGE_WAIT_SECONDS):
                await self._large.acquire()
        except TimeoutError:
            raise self._refused(ticket.work.priority, Refusal.LIMIT, _LARGE_UNDER_WAY) from None
        ticket.large = True

    async def _take(self, work: Work, caller: str, units: int, now: float, held: int = 0) -> None:
        """Keep a place for units of a caller who asked just now, beside those that the same call holds."""
        if not self._callers.allows(caller, units, self.limit, now, held):
            raise self._refused(
                work.priority, Refusal.CALLER, "this caller has its share of what can be done at one time"
            )
        # Counted from now on, or one caller could wait for more than its share.
        self._callers.acquire(caller, units)
        try:
            await self._find_place(work, units)
        except BaseException:
            self._callers.release(caller, units)
            raise

    def _give_back(self, caller: str, units: int) -> None:
        self.under_way -= units
        self._callers.release(caller, units)
        self._wake()

    async def _find_place(self, work: Work, units: int) -> None:
        """Keep a place for work; interactive work may wait for it a little."""
        most = self.limit if work.priority is Priority.INTERACTIVE else BATCH_SHARE * self.limit
        if not self._waiting and self.under_way + units <= most:
            self.under_way += units
        elif work.priority is Priority.INTERACTIVE:
            await self._wait(work, units)
        else:
            raise self._refused(work.priority, Refusal.LIMIT, _FULL)

    async def _wait(self, work: Work, units: int) -> None:
        """Wait for a place in the order of arrival; the units are kept for the work when this returns."""
        if self.is_full:
            raise self._refused(work.priority, Refusal.LIMIT, _FULL)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, units, place))
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self.under_way -= units  # it got its place, but has no use for it
            place.cancel()
            self._wake()
            if isinstance(error, TimeoutError):
                raise self._refused(work.priority, Refusal.LIMIT, _FULL) from None
            raise

    def _wake(self) -> None:
        """Give free places to those who wait."""
        while self._waiting:
            _, units, place = self._waiting[0]
            if not place.done():
                if self.under_way + units > self.limit:
                    return
                self.under_way += units
                place.set_result(None)
            self._waiting.popleft()

    def _refuse_late(self, work: Work, now: float) -> None:
        """Refuse work that will not be done in its time, judged by what like calls take at present."""
        latency = self._latencies.get(work.method)
        if latency is None or work.units > 1:
            return
        full = self.under_way >= _FULL_SHARE * self.limit
        needed = latency.high_quantile(now) if full else latency.low_quantile(now)
        if work.deadline - now < needed:
            message = f"such calls take {1000 * needed:.0f} ms at present, longer than the time left"
            raise self._refused(work.priority, Refusal.DEADLINE, message)

    def _refused(self, priority: Priority, reason: Refusal, message: str) -> Overloaded:
        self.refused[priority, reason] += 1
        seconds = _RETRY_SECONDS if priority is Priority.INTERACTIVE else _BATCH_RETRY_SECONDS
        return Overloaded(message, seconds * self._random.uniform(0.5, 1.5), _REASONS[reason])

    def _learn(self, ticket: Ticket, end: WorkOutcome) -> None:
        now = asyncio.get_running_loop().time()
        latency = self._latencies.setdefault(ticket.work.method, LatencyTracker())
        seconds = now - ticket.since
        if end is WorkOutcome.DONE:
            latency.record(now, seconds, ticket.unloaded)
        slowness = seconds / latency.tolerated_seconds(ticket.work.deadline - ticket.since)
        if self._limit.sample(now, slowness, self.under_way):
            for each in self._latencies.values():
                each.update_quantiles()
