"""Catalogues that callers make: as many as the contract says, and gone with their last item."""

import asyncio

import grpc
import pytest
from support.gateway import RunningGateway, Stubs
from support.scrape import scrape

from portrait.server.rollout.engine_registry import MAX_CATALOGUES
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, GetItemRequest, UpsertItemsRequest

ITEM = {"item_id": "a", "title": "Red desk lamp"}


async def catalogues_in(gateway: RunningGateway) -> set[str]:
    """The catalogues that have a series of metrics."""
    text = await asyncio.to_thread(scrape, gateway)
    lines = [line for line in text.splitlines() if line.startswith("portrait_catalogue_items{")]
    return {line.split('catalogue="')[1].split('"')[0] for line in lines}


async def test_ever_new_catalogues_are_refused_at_the_limit(gateway: RunningGateway, stubs: Stubs) -> None:
    before = await catalogues_in(gateway)
    names = [f"bounded-{number}" for number in range(MAX_CATALOGUES + 10)]
    made: list[str] = []
    refusals: list[grpc.aio.AioRpcError] = []
    try:
        for name in names:
            try:
                await stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue=name, items=[ITEM]))
                made.append(name)
            except grpc.aio.AioRpcError as error:
                refusals.append(error)
        assert {error.code() for error in refusals} == {grpc.StatusCode.FAILED_PRECONDITION}
        assert all(f"the limit is {MAX_CATALOGUES}" in str(error.details()) for error in refusals)
        assert made == names[: MAX_CATALOGUES - len(before)]
        assert await catalogues_in(gateway) == before | set(made)
        with pytest.raises(grpc.aio.AioRpcError) as raised:  # nothing of it was stored
            await stubs.catalogue.GetItem(GetItemRequest(catalogue=names[-1], item_id="a"))
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        # Those that exist take items as before; an emptied one gives its place to another.
        more = UpsertItemsRequest(catalogue=made[0], items=[ITEM | {"item_id": "b"}])
        assert (await stubs.catalogue.UpsertItems(more)).stored == 1
        emptied = DeleteItemsRequest(catalogue=made[1], item_ids=["a"])
        assert (await stubs.catalogue.DeleteItems(emptied)).deleted == 1
        assert (await stubs.catalogue.DeleteItems(emptied)).deleted == 0
        made.append(names[-1])
        assert (await stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue=names[-1], items=[ITEM]))).stored == 1
    finally:
        for name in made:
            await stubs.catalogue.DeleteItems(DeleteItemsRequest(catalogue=name, item_ids=["a", "b"]))
    assert await catalogues_in(gateway) == before
