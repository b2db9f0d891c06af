"""The cost of the call that is being served, as it becomes known: from the request, then from what the store holds."""

import asyncio
from contextvars import ContextVar

from portrait.server.admission.gate import Gate, Ticket


class Charge:
    """The units that one call counts as.

    Args:
        gate: let the call in.
        ticket: what it gave.
    """

    def __init__(self, gate: Gate, ticket: Ticket) -> None:
        self._gate, self._ticket = gate, ticket
        self._fraction = 0.0
        """Of a unit: parts of one call may be less than a unit each, and many."""
        self._changing = asyncio.Lock()
        """Held while the units change: parts of one call may turn out to be more at the same time."""

    async def set(self, units: int) -> None:
        """Count the call as so many units in all; see `Gate.resize`."""
        async with self._changing:
            await self._gate.resize(self._ticket, units)

    async def add(self, units: float) -> None:
        """Count the call as so many units more; fractions add up."""
        async with self._changing:
            whole, fraction = divmod(self._fraction + units, 1)
            if whole:
                await self._gate.resize(self._ticket, self._ticket.requested_units + int(whole))
            self._fraction = fraction


_current: ContextVar[Charge | None] = ContextVar("charge", default=None)


def set_charge(charge: Charge) -> None:
    """Say what the current call counts as. Tasks that it starts inherit it."""
    _current.set(charge)


async def set_units(units: int) -> None:
    """Count the current call as so many units in all, before it does that work; outside of calls nothing happens.

    Raises:
        FailedPrecondition: no call may be so much work.
        Overloaded: there is no place for so much now.
    """
    if (charge := _current.get()) is not None:
        await charge.set(units)


async def add_units(units: float) -> None:
    """Count the current call as so many units more; see `set_units`."""
    if units and (charge := _current.get()) is not None:
        await charge.add(units)
