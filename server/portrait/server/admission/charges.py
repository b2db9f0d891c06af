"""The charge of the current call: its units become known from the request, and then from the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace

from portrait.server.admission.gate import Gate, Ticket


class Charge:
    """The units of one call.

    Args:
        gate: the gate that accepted the call.
        ticket: its ticket.
        parts_gate: the gate of the parts of a stream; None for a call without parts.
    """

    def __init__(self, gate: Gate, ticket: Ticket, parts_gate: Gate | None = None) -> None:
        self._gate, self._ticket, self._parts_gate = gate, ticket, parts_gate
        self._fraction = 0.0
        """The part of a unit that is not charged yet: a call may have many parts of less than one unit."""
        self._changing = asyncio.Lock()
        """Held while the units change, as several parts of one call may add units at the same time."""

    async def set(self, units: int) -> None:
        """Set the units of the whole call; see `Gate.resize`."""
        async with self._changing:
            await self._gate.resize(self._ticket, units)

    async def add(self, units: float) -> None:
        """Add units to the call; fractions add up."""
        async with self._changing:
            whole, fraction = divmod(self._fraction + units, 1)
            if whole:
                await self._gate.resize(self._ticket, self._ticket.requested_units + int(whole))
            self._fraction = fraction

    @asynccontextmanager
    async def hold(self, units: int) -> AsyncIterator[None]:
        """Hold the units of one part of the stream; see `Gate.hold`."""
        if self._parts_gate is None:
            raise ValueError(f"{self._ticket.work.method} has no parts")
        async with self._parts_gate.hold(replace(self._ticket.work, units=units)):
            yield


_current: ContextVar[Charge | None] = ContextVar("charge", default=None)


def set_charge(charge: Charge) -> None:
    """Set the charge of the current call. Tasks that the call starts inherit it."""
    _current.set(charge)


async def set_units(units: int) -> None:
    """Set the units of the current call, before it does that work. Outside of calls nothing happens.

    Raises:
        FailedPrecondition: one call may not have so many units.
        Overloaded: the limit is reached.
    """
    if (charge := _current.get()) is not None:
        await charge.set(units)


async def add_units(units: float) -> None:
    """Add units to the current call; see `set_units`."""
    if units and (charge := _current.get()) is not None:
        await charge.add(units)


@asynccontextmanager
async def hold_units(units: int) -> AsyncIterator[None]:
    """Hold the units of one part of the current stream, once there is room. Outside of calls nothing happens."""
    if (charge := _current.get()) is None:
        yield
        return
    async with charge.hold(units):
        yield
