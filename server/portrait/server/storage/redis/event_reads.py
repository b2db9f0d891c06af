"""Reads events of Redis; those whose retention is over are left out, whether they are deleted yet or not."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from portrait.features.events import Event
from portrait.server.storage.redis.connection import Command, RedisConnection
from portrait.server.storage.redis.keys import ShopperKeys
from portrait.server.storage.redis.rows import ARRIVAL_DIGITS
from portrait.server.storage.retention import Cutoffs, Retention
from portrait.server.storage.rows import event_of
from portrait.server.storage.store import EventPosition, EventSelection
from portrait.server.timestamps import to_microseconds

_ROWS_AT_A_TIME = 500
"""Rows of a long history that are decoded at a time; other calls run between two parts."""
_TYPE, _TIME = 1, 2
"""Positions in the JSON of an event."""

_Row: TypeAlias = Sequence[Any]
"""The JSON of an event."""


class EventReads:
    """Reads the events of shoppers; see `Store` for what the methods do.

    Args:
        connection: of Redis.
        retention: decides which events are kept.
    """

    def __init__(self, connection: RedisConnection, retention: Retention) -> None:
        self._redis, self._retention = connection, retention

    async def history(self, shopper_id: str, as_of: datetime, limit: int) -> list[Event]:
        """The latest events of a shopper up to a moment, oldest first."""
        cutoffs = self._retention.cutoffs()
        earliest = "-inf" if cutoffs.earliest is None else cutoffs.earliest
        range_ = ("ZREVRANGEBYSCORE", ShopperKeys.of(shopper_id).history, to_microseconds(as_of), earliest)
        found = await self._read_events(range_, 0, limit, lambda row: _is_kept(row, cutoffs))
        return [event for _, event in reversed(found)]

    async def list_events(
        self, shopper_id: str, after: EventPosition | None, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        """The next events of a shopper, oldest first."""
        history, cutoffs = ShopperKeys.of(shopper_id).history, self._retention.cutoffs()
        beginning, skipped = ("-inf", 0) if after is None else (after.time, await self._count_through(history, after))
        range_ = ("ZRANGEBYSCORE", history, beginning, "+inf")
        return await self._read_events(range_, skipped, limit, lambda row: _is_kept(row, cutoffs))

    async def latest_events(
        self, shopper_id: str, selection: EventSelection, before: EventPosition, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        """The last events of a selection before a position, newest first."""
        history, cutoffs = ShopperKeys.of(shopper_id).history, self._retention.cutoffs()
        types = {kind.value for kind in selection.types}
        newest: int | str = before.time
        skipped = 0
        if before.arrival:
            skipped = await self._count_from(history, before)
        else:
            newest = f"({newest}"  # none of that time
        range_ = ("ZREVRANGEBYSCORE", history, newest, selection.since)
        return await self._read_events(
            range_, skipped, limit, lambda row: row[_TYPE] in types and _is_kept(row, cutoffs)
        )

    async def count_events(self, shopper_ids: Sequence[str], as_of: datetime, limit: int) -> dict[str, int]:
        """Count the events that `history` would return for each shopper."""
        until, histories = to_microseconds(as_of), [ShopperKeys.of(each).history for each in shopper_ids]
        if self._retention.keeps_all:
            counts = await self._redis.read([("ZCOUNT", history, "-inf", until) for history in histories])
        else:
            counts = await self._count_kept(histories, until, limit, self._retention.cutoffs())
        return {each: min(count, limit) for each, count in zip(shopper_ids, counts, strict=True)}

    async def _count_kept(self, histories: Sequence[str], until: int, limit: int, cutoffs: Cutoffs) -> list[int]:
        """Count events up to a moment: those that are too young to have expired by Redis, the others one by one."""
        earliest, before = "-inf" if cutoffs.earliest is None else cutoffs.earliest, min(cutoffs.latest - 1, until)
        asked: list[Command] = []
        for history in histories:
            asked.append(("ZCOUNT", history, cutoffs.latest, until))
            asked.append(("ZREVRANGEBYSCORE", history, before, earliest, "LIMIT", 0, limit))
        answers, counts = await self._redis.read(asked), []
        for history, young, old in zip(histories, answers[::2], answers[1::2], strict=True):
            count = young + sum(_is_kept(json.loads(member[ARRIVAL_DIGITS:]), cutoffs) for member in old)
            if count < limit == len(old):  # there are more of the old ones
                range_ = ("ZREVRANGEBYSCORE", history, until, earliest)
                count = len(await self._read_events(range_, 0, limit, lambda row: _is_kept(row, cutoffs)))
            counts.append(count)
        return counts

    async def _read_events(
        self, range_: Command, skipped: int, limit: int, is_wanted: Callable[[_Row], bool]
    ) -> list[tuple[EventPosition, Event]]:
        """The first events of a range that are wanted."""
        wanted = limit
        while True:
            [members] = await self._redis.read([(*range_, "LIMIT", skipped, wanted)])
            found = await _decode_events(members, is_wanted)
            if len(found) >= limit or len(members) < wanted:
                return found[:limit]
            wanted *= 2  # read anew, as others may write between two reads

    async def _count_through(self, history: str, position: EventPosition) -> int:
        """Count the events of the time of a position up to its own."""
        return sum(arrival <= position.arrival for arrival in await self._list_arrivals(history, position.time))

    async def _count_from(self, history: str, position: EventPosition) -> int:
        """Count the events of the time of a position from its own on."""
        return sum(arrival >= position.arrival for arrival in await self._list_arrivals(history, position.time))

    async def _list_arrivals(self, history: str, time: int) -> list[int]:
        """List the numbers of arrival of all events of one time."""
        [members] = await self._redis.read([("ZRANGEBYSCORE", history, time, time)])
        return [int(member[:ARRIVAL_DIGITS], 16) for member in members]


def _is_kept(row: _Row, cutoffs: Cutoffs) -> bool:
    return cutoffs.keep(row[_TYPE], row[_TIME])


async def _decode_events(
    members: Sequence[bytes], is_wanted: Callable[[_Row], bool]
) -> list[tuple[EventPosition, Event]]:
    found = []
    for begin in range(0, len(members), _ROWS_AT_A_TIME):
        if begin:
            await asyncio.sleep(0)
        for member in members[begin : begin + _ROWS_AT_A_TIME]:
            row = json.loads(member[ARRIVAL_DIGITS:])
            if is_wanted(row):
                found.append((EventPosition(row[_TIME], int(member[:ARRIVAL_DIGITS], 16)), event_of(row)))
    return found
