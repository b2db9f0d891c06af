"""Jobs beside the gateway: they build the table of shoppers, and export the list of deleted shoppers."""

import csv
import dataclasses
import sys
import time
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial

import structlog

from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table_builder import BuildProgress, build_table
from portrait.server.backends import load_rollout, open_backends
from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.runtime.signals import cancel_on_signals
from portrait.server.settings import Settings
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import StoreError
from portrait.server.storage.tombstones import Tombstone

_log = structlog.get_logger(__name__)


async def build_audience_table(settings: Settings, full: bool, as_of: datetime | None) -> None:
    """Build or update the table of shoppers with the serving release.

    Args:
        settings: name the repository, the state file and the folder of tables.
        full: whether to compute every row, not only those of shoppers with new events.
        as_of: the time of all profiles; None means now.
    """
    cancel_on_signals()
    started = time.monotonic()
    async with AsyncExitStack() as closing:
        backends = await open_backends(settings, closing)
        rollout = await load_rollout(settings, backends, closing)
        engine, snapshots = rollout.registry.routes.serving, TableSnapshots(settings.audiences)
        may = partial(Permissions(backends.store, settings.consent_rules).filter_allowing, {Purpose.PERSONALISATION})
        table = await build_table(engine, backends.store, snapshots, may, full=full, as_of=as_of, tell=_log_progress)
        _log.info(
            "audience_table_built",
            release=table.description.release,
            snapshot=table.description.snapshot,
            shoppers=len(table),
            seconds=round(time.monotonic() - started, 1),
        )


def _log_progress(progress: BuildProgress) -> None:
    rate = round(progress.shoppers / max(progress.seconds, 1e-9))
    _log.info("audience_table_progress", shoppers=progress.shoppers, per_second=rate)


async def export_deletions(settings: Settings) -> None:
    """Write the deleted shoppers to stdout as CSV: the hash of each id, and the time of deletion.

    Raises:
        StoreError: the state file does not exist, or can't be read.
    """
    if not settings.state.is_file():  # a new, empty state file would look like a list without deletions
        raise StoreError(f"{settings.state} does not exist")
    async with AsyncExitStack() as closing:
        store = await open_store(settings.state)
        closing.push_async_callback(store.close)
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(field.name for field in dataclasses.fields(Tombstone))
        for tombstone in await store.tombstones():
            lines.writerow((tombstone.shopper_sha256, tombstone.forgotten_at.isoformat()))
