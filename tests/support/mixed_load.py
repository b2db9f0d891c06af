"""Callers that record and recommend at once, and note what fails."""

import asyncio
import time
from datetime import UTC, datetime

import grpc

from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest
from support.gateway import Stubs

DEADLINE = 60.0
ANN = shopper_pb2.ShopperRef(shopper_id="ann")


def events(first: int, count: int) -> RecordEventsRequest:
    now = datetime.now(UTC)
    view = {"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red", "time": now}
    sent = [{"shopper_id": "ann", "event": {"event_id": f"e{n}", **view}} for n in range(first, first + count)]
    return RecordEventsRequest(events=sent)


class Load:
    """Callers that record and ask, without a pause, until they are told to stop."""

    def __init__(self, stubs: Stubs) -> None:
        self._stubs = stubs
        self._going = True
        self.recorded = 0
        self.answered = 0
        self.refused: list[grpc.aio.AioRpcError] = []
        self.slowest = 0.0

    async def run(self) -> None:
        await asyncio.gather(self._record(), *(self._ask(n) for n in range(8)))

    def stop(self) -> None:
        self._going = False

    async def until_answered(self) -> None:
        """Wait until some more calls are answered."""
        wanted = self.answered + 10
        async with asyncio.timeout(60):
            while self.answered < wanted:
                await asyncio.sleep(0.02)

    async def _record(self) -> None:
        while self._going:
            answer = await self._stubs.events.RecordEvents(events(self.recorded, 5), timeout=DEADLINE)
            self.recorded += answer.accepted
            await asyncio.sleep(0.02)

    async def _ask(self, caller: int) -> None:
        asked = 0
        while self._going:
            asked += 1
            # Words never seen before: an answer out of a cache would prove nothing.
            query = f"lamp {caller} {asked}"
            started = time.monotonic()
            try:
                await self._stubs.recommendations.Recommend(
                    RecommendRequest(shopper=ANN, query=query), timeout=DEADLINE
                )
                self.answered += 1
            except grpc.aio.AioRpcError as error:
                self.refused.append(error)
                await asyncio.sleep(0.01)
            self.slowest = max(self.slowest, time.monotonic() - started)
