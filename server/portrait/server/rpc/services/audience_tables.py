"""The audience tables that calls are answered from, and the engines of their releases."""

import asyncio

from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table import AudienceTable
from portrait.server.engine import Engine
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.services.page_tokens import PageToken


def find_engine(registry: EngineRegistry, token: PageToken) -> Engine:
    """Find the engine of the release that a page token is of.

    Raises:
        FailedPrecondition: it is gone.
    """
    engine = registry.engines.get(token.release)
    if engine is None:
        raise FailedPrecondition(
            f"the page token is of release {token.release}, which is gone; begin again",
            ErrorReason.PAGE_TOKEN_EXPIRED,
            "page_token",
        )
    return engine


async def open_table(snapshots: TableSnapshots, engine: Engine, token: PageToken | None) -> AudienceTable:
    """Open the table that a page token is of, or else the newest of the engine's release.

    Raises:
        FailedPrecondition: there is none, or it withholds other sensitive topics than the engine.
    """
    release = engine.release
    if token is not None:
        table = await asyncio.to_thread(snapshots.open, release.identity, token.snapshot)
        if table is None:
            raise FailedPrecondition(
                "the page token is of an audience table that is gone; begin again",
                ErrorReason.PAGE_TOKEN_EXPIRED,
                "page_token",
            )
    else:
        table = await asyncio.to_thread(snapshots.open_newest, release.identity)
    if table is None:
        raise FailedPrecondition(
            f"there is no audience table of release {release.number}; `portrait build-audience-table` makes one",
            ErrorReason.AUDIENCE_TABLE_MISSING,
        )
    if table.description.policy != engine.topics.policy.identity:
        raise FailedPrecondition(
            "the audience table withholds other sensitive topics; `portrait build-audience-table` makes a new one",
            ErrorReason.AUDIENCE_TABLE_MISSING,
        )
    return table
