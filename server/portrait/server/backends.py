"""The backends of a gateway and its jobs: the store, a Triton that answers, an index, and the releases in memory."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from tritonclient.utils import InferenceServerException

from portrait.server.engine import Engine
from portrait.server.release.release import OpenIndex
from portrait.server.rollout.archived_releases import ArchivedReleases
from portrait.server.rollout.extras import connect_to_fleet
from portrait.server.rollout.rollout import Rollout
from portrait.server.rollout.traffic import Traffic
from portrait.server.rollout.traffic_sources import FileTraffic, TrafficSource
from portrait.server.runtime.live_file import LiveFile
from portrait.server.search.open import open_collections
from portrait.server.sensitivity.topic_file import TopicPolicy, TopicsError, read_topic_policy
from portrait.server.settings import Settings
from portrait.server.storage.open import open_state
from portrait.server.storage.store import Store
from portrait.server.triton import (
    EmbeddedTriton,
    RemoteTriton,
    SupervisedTriton,
    TritonError,
    TritonFleet,
    open_client,
    read_admin_key,
)

if TYPE_CHECKING:
    from portrait.server.rollout.fleet import Fleet  # which needs the extra `redis`

_TRITON_SECONDS = 5.0
"""Seconds that a start waits for the version of Triton."""

_MIB = 1024 * 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backends:
    """An open store, a Triton that answers, and the engine of the nearest items."""

    store: Store
    traffic: TrafficSource
    fleet: "Fleet | None"
    """The gateways that share their traffic; None if this one follows the file of its repository."""
    archive: ArchivedReleases | None
    triton: EmbeddedTriton | SupervisedTriton | TritonFleet
    triton_version: str
    sensitive: LiveFile[TopicPolicy] | None
    """The operator's file of sensitive topics; None for the shipped ones."""
    open_index: OpenIndex | None
    """Opens the index of a release in the engine that the settings name; None if they name none."""

    @property
    def policy(self) -> TopicPolicy:
        """The sensitive topics in force."""
        return read_topic_policy(None) if self.sensitive is None else self.sensitive.now


async def open_backends(settings: Settings, closing: AsyncExitStack, *, supervised: bool = False) -> Backends:
    """Open the store, and start or find Triton.

    Args:
        settings: name the state file, the repository and perhaps a Triton that runs.
        closing: closes what is opened.
        supervised: whether another process loads releases into the Triton.

    Raises:
        OSError, IndexStorageError, PortraitError, ReleaseError, StoreError, TopicsError, TrafficError, TritonError: the
            store, the topics, the index or Triton can't be used, or there is nothing to serve.
    """
    path = settings.sensitive
    sensitive = LiveFile("sensitive", path, read_topic_policy, TopicsError) if path else None
    fleet = await open_fleet(settings, closing)
    traffic = fleet or FileTraffic(settings.repository)
    if settings.release is None:
        await traffic.read_first()  # fails before anything is started
    store = await open_state(
        settings.state, settings.state_url, settings.state_replicas, settings.shopper_keys, settings.retention
    )
    closing.push_async_callback(store.close)
    archive = open_archived_releases(settings)
    open_index = await _open_index(settings, closing)
    triton = await _open_triton(settings, closing, supervised)
    version = await _read_triton_version(triton.urls)
    return Backends(store, traffic, fleet, archive, triton, version, sensitive, open_index)


async def open_fleet(settings: Settings, closing: AsyncExitStack) -> "Fleet | None":
    """Connect to the fleet that the settings make the gateway a part of; None if they make it none.

    Args:
        settings: name the Redis of the fleet.
        closing: closes the connection.

    Raises:
        StoreError: a package is missing, or nobody answers there.
    """
    if settings.state_url is None or settings.releases_url is None:
        return None
    return await closing.enter_async_context(connect_to_fleet(settings.state_url))


async def read_wanted_traffic(settings: Settings) -> Traffic:
    """Read which releases the gateways of some settings serve: those of the fleet, or of the repository's file.

    Raises:
        OSError, PortraitError, StoreError, TrafficError: it can't be read.
        ReleaseError: nothing was chosen yet, or the repository holds no release.
    """
    async with AsyncExitStack() as closing:
        source = await open_fleet(settings, closing) or FileTraffic(settings.repository)
        return await source.read_first()


def open_archived_releases(settings: Settings) -> ArchivedReleases | None:
    """Open the archive that the settings name, and make a folder for its releases; None if they name none.

    Raises:
        OSError: the folder can't be made.
    """
    if settings.releases_url is None:
        return None
    settings.repository.mkdir(parents=True, exist_ok=True)
    if settings.verify_key is None:
        _log.warning("releases_unsigned", url=settings.releases_url, reason="no verify_key: any release is used")
    return ArchivedReleases(settings.repository, settings.releases_url, settings.verify_key)


async def _open_index(settings: Settings, closing: AsyncExitStack) -> OpenIndex | None:
    if settings.index_url is None:
        return None
    collections = await asyncio.to_thread(open_collections, settings.index_url)
    closing.push_async_callback(asyncio.to_thread, collections.close)
    return lambda release: collections.open(release.identity, release.vectors)


async def load_rollout(settings: Settings, backends: Backends, closing: AsyncExitStack) -> Rollout:
    """Load the serving release, with every change of items since it was exported.

    Args:
        settings: name the release, or leave it to `portrait release`.
        backends: the store and Triton.
        closing: unloads the release.
    """
    triton, cache_bytes = backends.triton, settings.text_cache_mib * _MIB
    is_running = triton.is_running if isinstance(triton, EmbeddedTriton) else None

    async def open_engine(release: int) -> Engine:
        if backends.archive is not None:
            await backends.archive.obtain(release)
        engine = await Engine.open(
            settings.repository,
            release,
            triton.urls,
            cache_bytes,
            is_running,
            settings.triton_hedge_seconds,
            backends.open_index,
            backends.policy,
        )
        _log.info("topics_judged", release=release, items=engine.topics.count_items())
        return engine

    rollout = Rollout(backends.traffic, backends.store, triton, open_engine)
    await rollout.begin(settings.release)
    closing.push_async_callback(rollout.registry.close)
    return rollout


async def _open_triton(
    settings: Settings, closing: AsyncExitStack, supervised: bool
) -> EmbeddedTriton | SupervisedTriton | TritonFleet:
    """Use the Triton servers that the settings name, or start one."""
    if settings.triton_url and supervised:
        return SupervisedTriton(settings.triton_url)
    if settings.triton_url:
        headers = read_admin_key(settings.triton_admin_key) if settings.triton_admin_key else {}
        servers = [RemoteTriton(url, settings.repository, headers) for url in settings.triton_urls]
        return await closing.enter_async_context(TritonFleet(servers))
    return await closing.enter_async_context(EmbeddedTriton(settings.repository, settings.triton_log))


async def _read_triton_version(urls: Sequence[str]) -> str:
    """Ask the servers for the version of Triton; the first one to answer tells it.

    Raises:
        TritonError: none answers.
    """
    failures = []
    for url in urls:
        async with open_client(url) as client:
            try:
                return str((await client.get_server_metadata(client_timeout=_TRITON_SECONDS)).version)
            except InferenceServerException as error:
                failures.append(f"no Triton answers at {url}: {error.message()}")
    raise TritonError("; ".join(failures))
