"""Checks of a configuration: releases, state, certificates and Triton servers that the settings name."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from tritonclient.utils import InferenceServerException

from portrait.features.release.layout import list_models, list_releases
from portrait.features.release.manifest import ReleaseError
from portrait.server.access.rules import AccessError, load_access
from portrait.server.backends import read_wanted_traffic
from portrait.server.doctor.findings import Finding, Level
from portrait.server.errors import PortraitError
from portrait.server.release.release import Release
from portrait.server.rollout.extras import open_release_archive
from portrait.server.rollout.traffic import TrafficError
from portrait.server.rpc.tls import TlsError, load_certificates
from portrait.server.runtime.addresses import is_local
from portrait.server.search.errors import IndexStorageError
from portrait.server.search.open import open_collections
from portrait.server.settings import Settings
from portrait.server.storage.failures import describe_error, require_sound
from portrait.server.storage.open import open_state
from portrait.server.storage.schema import connect, read_version
from portrait.server.storage.store import StoreError
from portrait.server.triton import TritonError, open_client
from portrait.server.triton.shared_memory import require_shared_memory

_SECONDS = 5.0
_SOON_DAYS = 14


async def check_configuration(settings: Settings, shops: Mapping[str | None, Settings]) -> AsyncIterator[Finding]:
    """Check what the settings name; nothing is changed, and gateways may run meanwhile.

    Args:
        settings: the settings of the gateway.
        shops: those of each shop, by tenant.
    """
    for tenant, shop in shops.items():
        async for finding in _check_shop(shop):
            yield finding.of_tenant(tenant)
    yield _check_certificates(settings)
    yield _check_access(settings, [tenant for tenant in shops if tenant is not None])


async def _check_shop(settings: Settings) -> AsyncIterator[Finding]:
    if settings.releases_url:
        yield await asyncio.to_thread(_check_archive, settings, settings.releases_url)
    whole = []
    try:
        wanted = await _read_wanted(settings)
    except (OSError, PortraitError, ReleaseError, StoreError, TrafficError) as error:
        yield Finding(Level.FAULT, "releases", str(error))
    else:
        for number in wanted:
            finding = await asyncio.to_thread(_check_release, settings, number)
            whole += [number] if finding.level is Level.OK else []
            yield finding
    yield await _check_state(settings)
    if settings.index_url is not None:
        yield await asyncio.to_thread(_check_index, settings, settings.index_url, whole)
    for url in settings.triton_urls:
        yield await _check_triton(settings, url, whole)


async def _read_wanted(settings: Settings) -> Sequence[int]:
    """The releases that a gateway with these settings would serve."""
    if settings.release is not None:
        return [settings.release]
    return (await read_wanted_traffic(settings)).routed


def _check_archive(settings: Settings, url: str) -> Finding:
    try:
        releases = open_release_archive(url, settings.verify_key).list_releases()
    except ReleaseError as error:
        return Finding(Level.FAULT, "archive", str(error))
    if settings.verify_key is None:
        return Finding(Level.WARNING, "archive", f"whoever writes to {url} can have any release served: set verify_key")
    return Finding(Level.OK, "archive", f"{url} holds {len(releases)} releases")


def _check_release(settings: Settings, number: int) -> Finding:
    subject = f"release {number}"
    if settings.releases_url and number not in list_releases(settings.repository):
        return _check_archived(settings, settings.releases_url, number)
    try:
        release = Release.load(settings.repository, number)
        if not settings.triton_urls:
            require_shared_memory(settings.repository, number)
    except (ReleaseError, TritonError) as error:
        return Finding(Level.FAULT, subject, str(error))
    return Finding(Level.OK, subject, f"whole, {len(release.items):,} items")


def _check_archived(settings: Settings, url: str, number: int) -> Finding:
    """Check a release that a gateway would pull first; pulls nothing."""
    subject = f"release {number}"
    try:
        open_release_archive(url, settings.verify_key).require(number)
    except ReleaseError as error:
        return Finding(Level.FAULT, subject, str(error))
    return Finding(Level.WARNING, subject, f"will be pulled from {url} when a gateway starts, and is checked then")


def _check_index(settings: Settings, url: str, releases: Sequence[int]) -> Finding:
    """Check whether a Milvus answers, and has some releases of the repository."""
    try:
        collections = open_collections(url)
        try:
            for number in releases:
                Release.load(
                    settings.repository, number, lambda release: collections.open(release.identity, release.vectors)
                )
        finally:
            collections.close()
    except (IndexStorageError, OSError, PortraitError, ReleaseError) as error:
        return Finding(Level.FAULT, "index", str(error))
    return Finding(Level.OK, "index", "Milvus has the wanted releases")


async def _check_state(settings: Settings) -> Finding:
    if settings.state_url is not None:
        try:
            store = await open_state(settings.state, settings.state_url, settings.state_replicas, settings.shopper_keys)
            try:
                await store.check()
            finally:
                await store.close()
        except Exception as error:  # whatever it is, the operator must hear of it
            return Finding(Level.FAULT, "state", str(error))
        return Finding(Level.OK, "state", "Redis answers for every bucket")
    if not settings.state.exists():
        return Finding(Level.OK, "state", f"{settings.state} does not exist and will be made")
    return await asyncio.to_thread(_check_file, settings)


def _check_file(settings: Settings) -> Finding:
    path = settings.state
    try:
        with contextlib.closing(connect(path, _SECONDS)) as connection:
            read_version(connection, path)
            require_sound(connection, path)
    except StoreError as error:
        return Finding(Level.FAULT, "state", str(error))
    except sqlite3.Error as error:
        return Finding(Level.FAULT, "state", describe_error(error, path))
    if path.stat().st_mode & 0o077:
        return Finding(Level.WARNING, "state", f"others may read {path}: run `chmod 600 {path}`")
    return Finding(Level.OK, "state", f"{path} is whole")


def _check_certificates(settings: Settings) -> Finding:
    try:
        certificates = load_certificates(settings)
    except TlsError as error:
        return Finding(Level.FAULT, "tls", str(error))
    if certificates is None:
        if is_local(settings.host):
            return Finding(Level.OK, "tls", "plain text, for callers of this machine only")
        return Finding(
            Level.WARNING, "tls", f"calls from other machines to {settings.host} are plain text: set tls_certificate"
        )
    if certificates.expires_at is None:
        return Finding(Level.WARNING, "tls", "callers may refuse the certificate: see certificate_problem in the log")
    days = (certificates.expires_at - time.time()) / 86_400
    if days < _SOON_DAYS:
        return Finding(Level.WARNING if days > 0 else Level.FAULT, "tls", f"the certificate expires in {days:.1f} days")
    return Finding(Level.OK, "tls", f"the certificate expires in {days:.0f} days")


def _check_access(settings: Settings, tenants: Sequence[str]) -> Finding:
    try:
        access = load_access(settings.access, settings.tls_client_ca is not None, tenants)
    except AccessError as error:
        return Finding(Level.FAULT, "access", str(error))
    if access is not None:
        return Finding(Level.OK, "access", f"{settings.access} says who may call what")
    if is_local(settings.host) or settings.tls_client_ca:
        return Finding(Level.OK, "access", "whoever reaches the port may call everything")
    return Finding(Level.WARNING, "access", f"whoever reaches {settings.host} may call everything: set access")


async def _check_triton(settings: Settings, url: str, releases: list[int]) -> Finding:
    async with open_client(url) as client:
        try:
            version = (await client.get_server_metadata(client_timeout=_SECONDS)).version
            for release in releases:
                for model in list_models(settings.repository, release):
                    if not await client.is_model_ready(model, str(release), client_timeout=_SECONDS):
                        text = (
                            f"{version} answers, and has not loaded {model} of release {release}; a gateway asks it to"
                        )
                        return Finding(Level.WARNING, f"triton {url}", text)
        except InferenceServerException as error:
            return Finding(Level.FAULT, f"triton {url}", f"no answer: {error.message()}")
    return Finding(Level.OK, f"triton {url}", f"{version} answers with all models")
