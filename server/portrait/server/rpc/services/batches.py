"""A batch of profiles: equal shoppers are computed once, and entries beyond the limits of a call fail one by one."""

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
"""Histories of more are held one at a time."""

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
    """A shopper, and where the request names them."""

    shopper: ShopperRef
    places: list[int] = field(default_factory=list)
    events: int = 0
    """Events of the history that is read."""
    result: BatchGetProfilesResult | None = None

    @property
    def path(self) -> str:
        """The path of its first place in the request."""
        return f"shoppers[{self.places[0]}]"


class ProfileBatch:
    """The shoppers of a request, each once, and their results.

    Args:
        shoppers: of the request, in its order.
    """

    def __init__(self, shoppers: Sequence[ShopperRef]) -> None:
        self._count, self._bytes = len(shoppers), 0
        distinct: dict[bytes, BatchEntry] = {}
        for place, shopper in enumerate(shoppers):
            distinct.setdefault(shopper_key(shopper), BatchEntry(shopper)).places.append(place)
        self.entries = list(distinct.values())

    def limit_events(self, stored: Sequence[int]) -> None:
        """Answer those whose histories are too much for one batch, in the order of the request.

        Args:
            stored: recorded events of each entry.
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
        """Entries without a result: those of short histories, and those of long ones."""
        left = [entry for entry in self.entries if entry.result is None]
        return [each for each in left if each.events <= _LONG_EVENTS], [
            each for each in left if each.events > _LONG_EVENTS
        ]

    def set_result(self, entry: BatchEntry, result: BatchGetProfilesResult) -> None:
        """Keep the result of an entry, as far as the answer has room for it wherever the request names the shopper."""
        size = result.ByteSize() * len(entry.places)
        if self._bytes + size > MAX_BATCH_BYTES:
            result = _TOO_LONG
        else:
            self._bytes += size
        entry.result = result

    def results(self) -> list[BatchGetProfilesResult]:
        """All results, in the order of the request."""
        by_place = {place: entry.result for entry in self.entries for place in entry.places if entry.result}
        return [by_place[place] for place in range(self._count)]
