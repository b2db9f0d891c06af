"""Jobs beside the gateway: the table of shoppers, the list of deleted shoppers, backups, the index in Milvus."""

import asyncio
import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from portrait.features.release.layout import list_releases, release_folder
from portrait.features.release.manifest import Manifest, ReleaseError
from portrait.features.search.base import ItemIndex
from portrait.server.audiences.build_plan import Shard
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table_builder import BuildProgress, build_shard
from portrait.server.audiences.trait_calibration import write_calibrations
from portrait.server.audiences.trait_check import check_traits as measure_traits
from portrait.server.audiences.trait_outcomes import read_outcomes
from portrait.server.backends import load_rollout, open_backends, read_wanted_traffic
from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.release.release import Release
from portrait.server.runtime.signals import cancel_on_signals, end_on_interrupt
from portrait.server.search.errors import IndexStorageError
from portrait.server.search.open import open_collections
from portrait.server.settings import Settings
from portrait.server.storage.backup import back_up, read_tombstones_of, restore
from portrait.server.storage.migration.migrate import migrate_state as migrate
from portrait.server.storage.open import open_hasher, open_state
from portrait.server.storage.private_files import make_private_folder
from portrait.server.storage.store import StoreError
from portrait.server.storage.tombstones import Tombstone, read_tombstones, write_tombstones

if TYPE_CHECKING:
    from portrait.server.search.milvus.collections import MilvusCollections

_PROGRESS_SECONDS = 5.0

_log = structlog.get_logger(__name__)


async def build_audience_table(settings: Settings, full: bool, as_of: datetime | None, shard: Shard) -> None:
    """Build or update the table of shoppers with the serving release.

    Args:
        settings: name the repository, the state file and the folder of tables.
        full: whether to compute every row, not only those of shoppers with new events.
        as_of: the time of all profiles; None means now.
        shard: of the shoppers; the process that finishes the last one makes the table.
    """
    cancel_on_signals()
    started = time.monotonic()
    async with AsyncExitStack() as closing:
        backends = await open_backends(settings, closing)
        rollout = await load_rollout(settings, backends, closing)
        engine, snapshots = rollout.registry.routes.serving, TableSnapshots(settings.audiences, backends.store.identity)
        may = partial(Permissions(backends.store, settings.consent_rules).filter_allowing, {Purpose.PERSONALISATION})
        table = await build_shard(
            engine, backends.store, snapshots, may, shard, full=full, as_of=as_of, tell=_log_progress
        )
        if table is None:
            _log.info("audience_table_shard_built", shard=str(shard), seconds=round(time.monotonic() - started, 1))
            return
        _log.info(
            "audience_table_built",
            release=table.description.release,
            snapshot=table.description.snapshot,
            shoppers=len(table),
            seconds=round(time.monotonic() - started, 1),
        )


async def check_traits(settings: Settings, file: Path) -> None:
    """Compare what the serving release stated of shoppers with what came true, for the next audience table.

    Args:
        settings: name the repository, the state file and the folder of tables.
        file: the outcomes, as `portrait label-traits` writes them.

    Raises:
        OutcomesError: they can't be read, or don't fit the release or the state.
    """
    cancel_on_signals()
    outcomes = read_outcomes(file)
    async with AsyncExitStack() as closing:
        backends = await open_backends(settings, closing)
        rollout = await load_rollout(settings, backends, closing)
        engine, snapshots = rollout.registry.routes.serving, TableSnapshots(settings.audiences, backends.store.identity)
        may = partial(Permissions(backends.store, settings.consent_rules).filter_allowing, {Purpose.PERSONALISATION})
        found = await measure_traits(engine, backends.store, may, outcomes)
        folder = snapshots.release_folder(engine.release.identity)
        for private in (folder.parent, folder):
            make_private_folder(private)
        write_calibrations(found, folder)
        for each in found:
            _log.info("trait_checked", **dataclasses.asdict(each))
        _log.info("traits_checked", release=engine.release.number, traits=len(found))


async def index_release(settings: Settings, number: int | None, prune: bool) -> None:
    """Bring the items of a release into the Milvus of the settings, unless they are there.

    A process that is killed meanwhile leaves nothing that a gateway would open.

    Args:
        settings: name the repository and the Milvus.
        number: of the release; None for the newest.
        prune: whether to drop the collections of retired releases afterwards.

    Raises:
        ReleaseError: there is no such release, or it is damaged.
        IndexStorageError: Milvus does not answer, or refuses something.
        OSError, PortraitError, StoreError, TrafficError: which releases are retired can't be read.
    """
    end_on_interrupt()
    if settings.index_url is None:
        raise IndexStorageError("index_url names no Milvus")
    collections = open_collections(settings.index_url)
    try:
        newest = list_releases(settings.repository)[-1:]
        chosen = number or next(iter(newest), None)
        if chosen is None:
            raise ReleaseError(f"{settings.repository} holds no release: run `portrait export` first")
        await asyncio.to_thread(Release.load, settings.repository, chosen, partial(_fill_index, collections))
        if prune:
            await _prune_index(settings, collections, chosen)
    finally:
        collections.close()


async def _prune_index(settings: Settings, collections: "MilvusCollections", indexed: int) -> None:
    """Drop the collections of the repository's retired releases, but not of the one that was just indexed."""
    try:
        traffic = await read_wanted_traffic(settings)
    except ReleaseError:  # the fleet has chosen none yet, so that none is retired
        return
    releases = [each for each in list_releases(settings.repository) if each < traffic.serving and each != indexed]
    retired = [each for each in releases if each not in traffic.kept]
    manifests = {each: Manifest.read(release_folder(settings.repository, each)) for each in retired}
    dropped = [each for each, manifest in manifests.items() if collections.drop(manifest.identity)]
    _log.info("index_pruned", releases=dropped)


def _fill_index(collections: "MilvusCollections", release: Release) -> ItemIndex:
    """Bring the items of a release into its collection, and open it."""
    told = started = time.monotonic()

    def tell(stored: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _PROGRESS_SECONDS:
            told = time.monotonic()
            _log.info("index_progress", release=release.number, items=stored, of=len(release.items))

    is_new = collections.fill(release.identity, release.indexed_rows, tell)
    index = collections.open(release.identity, release.vectors)
    seconds = round(time.monotonic() - started, 1)
    _log.info("release_indexed", release=release.number, items=len(index), is_new=is_new, seconds=seconds)
    return index


def _log_progress(progress: BuildProgress) -> None:
    rate = round(progress.shoppers / max(progress.seconds, 1e-9))
    _log.info("audience_table_progress", shoppers=progress.shoppers, per_second=rate)


async def export_deletions(settings: Settings) -> None:
    """Write the deleted shoppers to stdout as CSV: the hash of each id, and the time of deletion.

    Raises:
        StoreError: the state does not exist, or can't be read.
    """
    if settings.state_url is None and not settings.state.is_file():
        raise StoreError(
            f"{settings.state} does not exist"
        )  # a new, empty one would look like a list without deletions
    async with AsyncExitStack() as closing:
        store = await open_state(settings.state, settings.state_url, settings.state_replicas, settings.shopper_keys)
        closing.push_async_callback(store.close)
        write_tombstones(await store.tombstones(), sys.stdout)


async def back_up_state(settings: Settings, target: Path) -> None:
    """Write a backup of the state file, which gateways may use meanwhile.

    Raises:
        StoreError: as `back_up`.
    """
    started = time.monotonic()
    written = back_up(settings.state, target)
    _log.info("backup_written", **dataclasses.asdict(written), seconds=round(time.monotonic() - started, 3))


async def restore_state(settings: Settings, backup: Path, deletions: Path | None, without_deletions: bool) -> None:
    """Put a backup in the place of the state file, without the shoppers who were forgotten since.

    Args:
        settings: name the state file, whose own tombstones count if they can be read, and the keys of tombstones.
        backup: the backup.
        deletions: a list of forgotten shoppers, as `export_deletions` writes it.
        without_deletions: whether to go on if there is no list and the state file has none.

    Raises:
        StoreError: there is neither; or as `restore`.
    """
    known = read_tombstones_of(settings.state)
    if known is None and deletions is None and not without_deletions:
        raise StoreError(
            f"{settings.state} can't tell who was forgotten since the backup, and they would come back: give the list "
            "that `portrait export-deletions` wrote with --deletions, or say --without-deletions"
        )
    hasher = open_hasher(settings.shopper_keys)
    tombstones = [*(known or ()), *(_read_deletions(deletions) if deletions else ())]
    restored = restore(backup, settings.state, tombstones, hasher)
    replaced = restored.replaced and restored.replaced.name
    _log.info("state_restored", events=restored.events, forgotten=restored.forgotten, replaced=replaced)


async def migrate_state(settings: Settings, source: str, target: str) -> None:
    """Copy a state from a file to Redis, or from Redis to a file.

    Raises:
        StoreError: as `migration.migrate_state`.
    """
    cancel_on_signals()
    started = last = time.monotonic()

    def tell(shoppers: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_SECONDS:
            last = time.monotonic()
            _log.info("migration_progress", shoppers=shoppers, seconds=round(last - started, 1))

    migrated = await migrate(source, target, settings.state_replicas, tell)
    for part, digest in migrated.parts.items():
        _log.info("part_migrated", part=part, count=digest.count, hash=digest.hash)
    _log.info("state_migrated", resumed_shoppers=migrated.resumed, seconds=round(time.monotonic() - started, 1))


def _read_deletions(path: Path) -> Sequence[Tombstone]:
    try:
        return read_tombstones(path)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(str(error)) from error
