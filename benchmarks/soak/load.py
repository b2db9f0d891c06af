"""The load of a soak: what a shop does all day, at a modest rate, with events that expire within the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from benchmarks.common.faults.load import CONSENT, HEALTH, ITEMS, OK, READ, WRITE, Caller, MakeCall, MixedLoad
from benchmarks.common.load.calls import PROFILE_PATH, RECOMMEND_PATH
from portrait.v1 import event_pb2
from portrait.v1.consent_service_pb2 import ForgetShopperRequest
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest

FORGET, KEPT = "forget", "kept write"
NOT_FORGOTTEN = "NOT_FORGOTTEN"
"""Code of an answered ForgetShopper whose shopper is still known."""
RETENTION = timedelta(days=1)
"""The shortest that a gateway has, and what this run's has for views: see `SoakLoad.lifetime`."""
EXPIRING_EVENTS = 25
_SHOPPERS = 50
_FORGET_PATH = "/portrait.v1.ConsentService/ForgetShopper"


@dataclass(frozen=True)
class SoakLoad(MixedLoad):
    """A mixed load whose views are nearly a day old when they are recorded."""

    lifetime: float
    """Seconds for which a view is still kept: it is dated so that its retention is over then."""


class SoakCaller(Caller):
    """All callers of one connection.

    Reads are visits without an id, searches, and recommendations for shoppers with recorded events. Views expire within
    the run; purchases, a few, are kept, and are counted in the end.
    """

    pauses: ClassVar[Mapping[str, float]] = {
        HEALTH: 2.0, READ: 1.5, WRITE: 2.0, KEPT: 20.0, ITEMS: 5.0, CONSENT: 5.0, FORGET: 10.0
    }  # fmt: skip
    _load: SoakLoad

    def list_calls(self) -> list[tuple[str, MakeCall]]:
        """List what is called at the same time, with the kind of each."""
        first: list[tuple[str, MakeCall]] = [(ITEMS, self._upsert), (CONSENT, self._withdraw), (FORGET, self._forget)]
        return [
            (HEALTH, self._check_health),
            *(2 * [(READ, self._read)]),
            (READ, self._recommend),
            (WRITE, self._record),
            (KEPT, self._purchase),
            *(first if self._connection == 0 else ()),
        ]

    async def _record(self, place: int) -> None:
        """Record views that expire soon."""
        time = datetime.now(UTC) - RETENTION + timedelta(seconds=self._load.lifetime)
        await self._record_events(WRITE, self._name(place), place, event_pb2.EVENT_TYPE_VIEW, time, EXPIRING_EVENTS)

    async def _purchase(self, place: int) -> None:
        """Record a purchase that is kept."""
        shopper = f"buyer-{self._connection}-{place % _SHOPPERS}"
        await self._record_events(KEPT, shopper, place, event_pb2.EVENT_TYPE_PURCHASE, datetime.now(UTC), 1)

    async def _recommend(self, place: int) -> None:
        """Ask for recommendations by the views that were recorded."""
        request = RecommendRequest(shopper={"shopper_id": self._name(place)}, k=10)
        sent, code, _ = await self._call(RECOMMEND_PATH, request.SerializeToString())
        self._note(READ, sent, OK if code == "NOT_FOUND" else code)  # the views of this shopper have expired

    async def _forget(self, place: int) -> None:
        """Record an event of a new shopper, and forget the shopper, who must be unknown then."""
        shopper = f"leaver-{place}"
        await self._record_events(FORGET, shopper, place, event_pb2.EVENT_TYPE_VIEW, datetime.now(UTC), 1)
        sent, code, _ = await self._call(_FORGET_PATH, ForgetShopperRequest(shopper_id=shopper).SerializeToString())
        if code == OK:
            asked = GetProfileRequest(shopper={"shopper_id": shopper}, fields={"paths": ["event_count"]})
            _, answered, _ = await self._call(PROFILE_PATH, asked.SerializeToString())
            code = NOT_FORGOTTEN if answered == OK else code
        self._note(FORGET, sent, code)

    def _name(self, place: int) -> str:
        return f"shopper-{self._connection}-{place % _SHOPPERS}"
