"""A batch of profiles: equal shoppers are computed once, and each entry beyond the limits fails on its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from portrait.server.admission.request_units import shopper_key
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition
from portrait.server.rpc.contract.limits import MAX_BATCH_BYTES, MAX_BATCH_EVENTS
from portrait.server.rpc.services.messages import error_to_message
from portrait.v1.profile_service_pb2 import BatchGetProfilesResult
from portrait.v1.shopper_pb2 import ShopperRef

_LONG_EVENTS = 1_000
"""Histories with more events are long: they are processed one at a time, to bound memory."""

_TOO_MANY_EVENTS = BatchGetProfilesResult(
    error=error_to_message(
        FailedPrecondition(
            f"the histories up to it hold more than {MAX_BATCH_EVENTS} events; ask in another call",
            ErrorReason.BATCH_TOO_LARGE,
        )
    )
)
_TOO_LONG = BatchGetProfilesResult(
    error=error_to_message(
        FailedPrecondition(
            f"the answer has no room beyond {MAX_BATCH_BYTES} bytes; ask in another call", ErrorReason.BATCH_TOO_LARGE
        )
    )
)


@dataclass(slots=True)
class BatchEntry:
    """A distinct shopper of a batch."""

    shopper: ShopperRef
    places: list[int] = field(default_factory=list)
    """Indexes at which the request names the shopper, ascending."""
    events: int = 0
    """Number of events of the history that is read."""
    result: BatchGetProfilesResult | None = None

    @property
    def path(self) -> str:
        """The path of the first occurrence in the request, for error messages."""
        return f"shoppers[{self.places[0]}]"


class ProfileBatch:
    """The distinct shoppers of a request, and their results.

    Args:
        shoppers: the shoppers of the request, in its order.
    """

    def __init__(self, shoppers: Sequence[ShopperRef]) -> None:
        self._count, self._bytes = len(shoppers), 0
        distinct: dict[bytes, BatchEntry] = {}
        for place, shopper in enumerate(shoppers):
            distinct.setdefault(shopper_key(shopper), BatchEntry(shopper)).places.append(place)
        self.entries = list(distinct.values())

    def limit_events(self, stored: Sequence[int]) -> None:
        """Fail the entries whose histories exceed the maximum events of a batch; earlier entries have precedence.

        Args:
            stored: number of recorded events of each entry; 0 for an inline history.
        """
        total = 0
        for entry, recorded in zip(self.entries, stored, strict=True):
            entry.events = recorded or len(entry.shopper.history.events)
            if total + entry.events > MAX_BATCH_EVENTS:
                self.set_result(entry, _TOO_MANY_EVENTS)
            else:
                total += entry.events

    @property
    def pending(self) -> tuple[list[BatchEntry], list[BatchEntry]]:
        """Entries without a result: those with short histories, and those with long ones."""
        left = [entry for entry in self.entries if entry.result is None]
        return [each for each in left if each.events <= _LONG_EVENTS], [
            each for each in left if each.events > _LONG_EVENTS
        ]

    def set_result(self, entry: BatchEntry, result: BatchGetProfilesResult) -> None:
        """Set the result of an entry; an error replaces it if the response has no room for all its copies."""
        size = result.ByteSize() * len(entry.places)
        if self._bytes + size > MAX_BATCH_BYTES:
            result = _TOO_LONG
        else:
            self._bytes += size
        entry.result = result

    def results(self) -> list[BatchGetProfilesResult]:
        """Return one result for each shopper of the request, in its order."""
        by_place = {place: entry.result for entry in self.entries for place in entry.places if entry.result}
        return [by_place[place] for place in range(self._count)]
