"""Fake clients for the tests of callers: the same methods, without gateway or network.

from portrait.client.testing import FakeClient

portrait = FakeClient()
portrait.upsert_items([Item("desk-lamp", "Desk lamp")])
assert shop.front_page(portrait, "a-shopper") == ["Desk lamp"]
assert portrait.gateway.calls[-1].method == "recommend"
"""

from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import TypeVar

from portrait.client.aio import AsyncClient
from portrait.client.calls import Call
from portrait.client.options import CallOptions
from portrait.client.sync import Client
from portrait.client.testing.gateway import FakeGateway, RecordedCall

__all__ = ["FakeAsyncClient", "FakeClient", "FakeGateway", "RecordedCall"]

R = TypeVar("R")


class FakeClient(Client):
    """A `Client` with an in-memory gateway. It takes and checks the same arguments."""

    @cached_property
    def gateway(self) -> FakeGateway:
        """The in-memory gateway; assign that of another fake to share its data."""
        return FakeGateway()

    def _run(self, call: Call[R], options: CallOptions) -> R:
        return self.gateway.answer(call, self._options.choose(options))

    def _stream(self, call: Call[R], options: CallOptions) -> Iterator[R]:
        yield from self.gateway.answer_stream(call, self._options.choose(options))


class FakeAsyncClient(AsyncClient):
    """An `AsyncClient` with an in-memory gateway."""

    @cached_property
    def gateway(self) -> FakeGateway:
        """The in-memory gateway; assign that of another fake to share its data."""
        return FakeGateway()

    async def _run(self, call: Call[R], options: CallOptions) -> R:
        return self.gateway.answer(call, self._options.choose(options))

    async def _stream(self, call: Call[R], options: CallOptions) -> AsyncIterator[R]:
        for each in self.gateway.answer_stream(call, self._options.choose(options)):
            yield each
