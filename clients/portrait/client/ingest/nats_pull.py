"""Messages of a durable pull consumer of JetStream, taken as the server sends them.

The package's own `fetch` makes two tasks and a random name for each message, which is most of what an ingestion does.
Here a callback collects them; the requests are those of JetStream's protocol.
"""

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import Header, StatusCode
from nats.js.errors import APIError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

_NO_MESSAGES = (StatusCode.NO_MESSAGES, StatusCode.REQUEST_TIMEOUT, StatusCode.CONFLICT)
"""Statuses that end a request and are no error: nothing is there, nothing came in time, or too much is under way."""
_ANSWER_SECONDS = 5.0
"""A server that does not say within this time what is there does not answer."""


class PullSubscription:
    """A subscription to what a consumer delivers on request; for one caller at a time.

    Args:
        connection: to the server.
        stream: name of the stream.
        consumer: name of its durable pull consumer.
    """

    def __init__(self, connection: "Client", stream: str, consumer: str) -> None:
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = connection.new_inbox()
        self._subscription: Subscription | None = None
        self._requests = 0
        self._reply = ""
        """Subject of the answers to the last request; a status has it."""
        self._statuses: list[Msg] = []
        """The status that ended the last request, if one did."""
        self._arrived: list[Msg] = []
        self._changed = asyncio.Event()

    async def begin(self) -> None:
        """Subscribe; raises an error of NATS."""
        self._subscription = await self._connection.subscribe(f"{self._inbox}.*", cb=self._take)

    async def fetch(self, limit: int, seconds: float) -> "list[Msg]":
        """Fetch the messages that are there or, if there are none, the first that come.

        Args:
            limit: maximum count of messages.
            seconds: for which it waits; then it returns none.

        Raises:
            nats.errors.Error: the server refuses the request, or does not answer.
        """
        if len(self._arrived) < limit:
            missing = limit - len(self._arrived)
            if not await self._request({"batch": missing, "no_wait": True}, limit, _ANSWER_SECONDS):
                raise NatsTimeoutError
        if not self._arrived:
            await self._request({"batch": limit, "expires": round(seconds * 1e9)}, 1, seconds)
        fetched, self._arrived = self._arrived[:limit], self._arrived[limit:]
        return fetched

    async def close(self) -> None:
        """Have the server deliver to others, at once, what came and was not fetched; raises an error of NATS."""
        if self._subscription is not None:
            await self._subscription.drain()  # first: a request under way would take what is given back
        while self._arrived:
            await self._arrived.pop().nak()
        await self._connection.flush()

    async def _request(self, request: dict[str, int], enough: int, seconds: float) -> bool:
        """Request messages until there are enough, or the request ends; False if neither happened in time.

        What a request brings after that is there for the next one.
        """
        self._requests += 1
        self._reply, self._statuses = f"{self._inbox}.{self._requests}", []
        await self._connection.publish(self._subject, json.dumps(request).encode(), reply=self._reply)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self._arrived) < enough and not self._statuses:
                    self._changed.clear()
                    await self._changed.wait()
        for status in self._statuses:
            if (status.headers or {}).get(Header.STATUS) not in _NO_MESSAGES:
                raise APIError.from_msg(status)
        return bool(self._arrived or self._statuses)

    async def _take(self, message: "Msg") -> None:
        # A message has the subject under which it was published, a status that of the answer.
        if not message.subject.startswith(self._inbox):
            self._arrived.append(message)
        elif message.subject == self._reply:
            self._statuses.append(message)
        self._changed.set()
