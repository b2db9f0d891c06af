"""CatalogueService: changes and shows the items of catalogues, without a new release."""

import asyncio

import structlog

from portrait.features.events import Item
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.item_changes import ItemChanges
from portrait.server.rpc.context import Context, current_deadline
from portrait.server.rpc.contract.validation import find_violations
from portrait.server.rpc.services.messages import (
    catalogue_name,
    item_from_message,
    item_to_message,
    violations_to_message,
)
from portrait.server.storage.store import Store
from portrait.v1 import catalogue_service_pb2, catalogue_service_pb2_grpc

_TOGETHER = 50
"""Items that are validated before the event loop serves other calls."""


class CatalogueService(catalogue_service_pb2_grpc.CatalogueServiceServicer):
    """Adds, replaces, removes and shows items.

    Args:
        registry: the engines that recommend the items.
        store: records the changes, for later releases and other processes.
    """

    def __init__(self, registry: EngineRegistry, store: Store) -> None:
        self._registry = registry
        self._changes = ItemChanges(registry, store)

    async def UpsertItems(  # noqa: N802 - the contract's name
        self, request: catalogue_service_pb2.UpsertItemsRequest, context: Context
    ) -> catalogue_service_pb2.UpsertItemsResponse:
        """Add or replace the valid items; report the others."""
        catalogue = catalogue_name(request.catalogue)
        items: list[Item] = []
        errors: list[catalogue_service_pb2.UpsertItemsError] = []
        for place, sent in enumerate(request.items):
            if place % _TOGETHER == 0:
                await asyncio.sleep(0)  # lets the event loop serve other calls
            if broken := list(find_violations(sent, f"items[{place}]", "UpsertItemsRequest.items")):
                error = violations_to_message(broken)
                errors.append(catalogue_service_pb2.UpsertItemsError(index=place, error=error))
            else:
                items.append(item_from_message(sent, catalogue))
        if items:
            await self._changes.upsert(catalogue, items, deadline=current_deadline())
        structlog.contextvars.bind_contextvars(stored=len(items), rejected=len(errors))
        return catalogue_service_pb2.UpsertItemsResponse(stored=len(items), errors=errors)

    async def DeleteItems(  # noqa: N802 - the contract's name
        self, request: catalogue_service_pb2.DeleteItemsRequest, context: Context
    ) -> catalogue_service_pb2.DeleteItemsResponse:
        """Remove items."""
        catalogue = catalogue_name(request.catalogue)
        deleted = await self._changes.delete(catalogue, request.item_ids)
        structlog.contextvars.bind_contextvars(deleted=deleted)
        return catalogue_service_pb2.DeleteItemsResponse(deleted=deleted)

    async def GetItem(  # noqa: N802 - the contract's name
        self, request: catalogue_service_pb2.GetItemRequest, context: Context
    ) -> catalogue_service_pb2.GetItemResponse:
        """Show one item."""
        item = self._registry.routes.serving.get_item(catalogue_name(request.catalogue), request.item_id)
        return catalogue_service_pb2.GetItemResponse(item=item_to_message(item))
