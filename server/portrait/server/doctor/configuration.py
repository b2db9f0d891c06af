"""Checks of a configuration: releases, state, certificates and Triton servers that the settings name."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator

from tritonclient.utils import InferenceServerException

from portrait.features.release.layout import list_models
from portrait.features.release.manifest import ReleaseError
from portrait.server.access.rules import AccessError, load_access
from portrait.server.doctor.findings import Finding, Level
from portrait.server.release.release import Release
from portrait.server.rollout.traffic import Traffic, TrafficError
from portrait.server.rpc.tls import TlsError, load_certificates
from portrait.server.runtime.addresses import is_local
from portrait.server.settings import Settings
from portrait.server.storage.failures import describe_error
from portrait.server.storage.open import open_state
from portrait.server.storage.schema import connect, read_version
from portrait.server.storage.store import StoreError
from portrait.server.triton import TritonError, open_client
from portrait.server.triton.shared_memory import require_shared_memory

_SECONDS = 5.0
_SOON_DAYS = 14


async def check_configuration(settings: Settings) -> AsyncIterator[Finding]:
    """Check what the settings name; nothing is changed, and gateways may run meanwhile."""
    releases = await asyncio.to_thread(lambda: [*_check_releases(settings)])
    for finding, _ in releases:
        yield finding
    yield await _check_state(settings)
    yield _check_certificates(settings)
    yield _check_access(settings)
    numbers = [number for _, number in releases if number is not None]
    for url in settings.triton_urls:
        yield await _check_triton(settings, url, numbers)


def _check_releases(settings: Settings) -> Iterator[tuple[Finding, int | None]]:
    """Yield a finding for each wanted release, and the number of those that are whole."""
    try:
        wanted = [settings.release] if settings.release else Traffic.of(settings.repository).routed
    except (OSError, ReleaseError, TrafficError) as error:
        yield Finding(Level.FAULT, "releases", f"{error}: run `portrait export`, or set repository"), None
        return
    for number in wanted:
        try:
            release = Release.load(settings.repository, number)
            if not settings.triton_urls:
                require_shared_memory(settings.repository, number)
        except (ReleaseError, TritonError) as error:
            yield Finding(Level.FAULT, f"release {number}", str(error)), None
        else:
            yield Finding(Level.OK, f"release {number}", f"whole, {len(release.items):,} items"), number


async def _check_state(settings: Settings) -> Finding:
    if settings.state_url is not None:
        try:
            store = await open_state(settings.state, settings.state_url, settings.state_replicas)
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
            [[found]] = connection.execute("PRAGMA quick_check(1)").fetchall()
    except StoreError as error:
        return Finding(Level.FAULT, "state", str(error))
    except sqlite3.Error as error:
        return Finding(Level.FAULT, "state", describe_error(error, path))
    if found != "ok":
        return Finding(Level.FAULT, "state", f"{path} is damaged ({found}): restore it from a backup")
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


def _check_access(settings: Settings) -> Finding:
    try:
        access = load_access(settings)
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
