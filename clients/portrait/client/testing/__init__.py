"""Fakes of the clients for the tests of their callers: same methods, no gateway, no network.

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
    """Client that asks an in-memory gateway. It takes the arguments of `Client`, and checks what that checks."""

    @cached_property
    def gateway(self) -> FakeGateway:
        """The gateway that answers; give the one of another fake to share what that was told."""
        return FakeGateway()

    def _run(self, call: Call[R], options: CallOptions) -> R:
        return self.gateway.answer(call, self._options.choose(options))

    def _stream(self, call: Call[R], options: CallOptions) -> Iterator[R]:
        yield from self.gateway.answer_stream(call, self._options.choose(options))


class FakeAsyncClient(AsyncClient):
    """AsyncClient that asks an in-memory gateway, as `FakeClient` does."""

    @cached_property
    def gateway(self) -> FakeGateway:
        """The gateway that answers; give the one of another fake to share what that was told."""
        return FakeGateway()

    async def _run(self, call: Call[R], options: CallOptions) -> R:
        return self.gateway.answer(call, self._options.choose(options))

    async def _stream(self, call: Call[R], options: CallOptions) -> AsyncIterator[R]:
        for each in self.gateway.answer_stream(call, self._options.choose(options)):
            yield each
