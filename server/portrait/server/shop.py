"""The composition of one shop: its store, releases, caches, admission, consents, audiences, rules and metrics.

A gateway has one, or one for each tenant. A new part of a shop is a field of `Shop`.
"""

import os
import socket
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.admission.costs import Workload
from portrait.server.admission.gate import Gate
from portrait.server.audiences.eligibility import AudienceEligibility
from portrait.server.audiences.search import AudienceSearch
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.backends import Backends, load_rollout, open_backends
from portrait.server.consent.consents import Permissions
from portrait.server.metrics.collectors import Metrics
from portrait.server.recommendation.rule_plan import NO_RULES, ShopRules, read_shop_rules
from portrait.server.response_cache import ResponseCache
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.gateway_status import REPORT_SECONDS
from portrait.server.rollout.live_topics import LiveTopics
from portrait.server.rollout.replay import POLL_SECONDS as CHANGES_POLL_SECONDS
from portrait.server.rollout.replay import RemoteItemChanges
from portrait.server.rollout.rollout import POLL_SECONDS as ROLLOUT_POLL_SECONDS
from portrait.server.rollout.rollout import REPAIR_SECONDS, Rollout
from portrait.server.rpc.health import POLL_SECONDS as HEALTH_POLL_SECONDS
from portrait.server.rpc.health import HealthService
from portrait.server.rpc.refusal_log import POLL_SECONDS as REFUSALS_POLL_SECONDS
from portrait.server.rpc.refusal_log import RefusalLog, count_refusals
from portrait.server.rpc.services.registry import SERVICE_NAMES, create_servicers
from portrait.server.rules.file import RulesError
from portrait.server.runtime.background import Background
from portrait.server.runtime.live_file import POLL_SECONDS as FILE_POLL_SECONDS
from portrait.server.runtime.live_file import LiveFile
from portrait.server.settings import Settings
from portrait.server.storage.open import open_hasher
from portrait.server.storage.retention import POLL_SECONDS as RETENTION_POLL_SECONDS
from portrait.server.storage.retention import delete_expired
from portrait.server.storage.store import Store
from portrait.server.triton import EmbeddedTriton

_MIB = 1024 * 1024

_log = structlog.get_logger(__name__)

Task = tuple[str, Callable[[], Awaitable[None]], float]
"""Name and step of a background task, and the seconds between two steps."""


@dataclass(frozen=True)
class Shop:
    """Everything that answers the calls of one shop, and that no other shop has a part in."""

    tenant: str | None
    """None in a gateway without tenants."""
    settings: Settings
    backends: Backends
    rollout: Rollout
    last_change: int
    """The loaded engines have applied the item changes up to this sequence number."""
    metrics: Metrics
    background: Background
    health: HealthService
    gates: Mapping[Workload, Gate]
    response_cache: ResponseCache
    permissions: Permissions
    snapshots: TableSnapshots
    audience_search: AudienceSearch
    rules: LiveFile[ShopRules] | None
    """The shop's rules for recommendations; None without any."""
    topics: LiveTopics | None
    """Has the engines follow the operator's file of sensitive topics; None for the shipped ones."""
    hasher: ShopperHasher
    """Hashes the ids of shoppers for the audit log."""

    @property
    def store(self) -> Store:
        """Events, consents and item changes."""
        return self.backends.store

    @property
    def registry(self) -> EngineRegistry:
        """The engines of all loaded releases."""
        return self.rollout.registry

    @property
    def followed_files(self) -> list[LiveFile[Any]]:
        """The operator's files that are read again when they change."""
        return [file for file in (self.rules, self.topics.file if self.topics else None) if file]

    @property
    def state(self) -> Hashable:
        """Another value after every change of items, routes, rules or topics: while it stays, so do responses."""
        return self.registry.state, *(each.changes if each else 0 for each in (self.rules, self.topics))

    def create_servicers(self) -> list[object]:
        """Create the implementation of every service."""
        return create_servicers(
            self.registry, self.store, self.permissions, self.snapshots, self.audience_search,
            lambda: self.rules.now if self.rules else NO_RULES,
        )  # fmt: skip

    def list_tasks(self) -> list[Task]:
        """List the background tasks."""
        refusals = RefusalLog(partial(count_refusals, self.gates))
        changes = RemoteItemChanges(self.store, self.registry, self.last_change)
        tasks: list[Task] = [
            ("health", partial(self.health.update, self.registry), HEALTH_POLL_SECONDS),
            ("index", self.registry.check_indexes, HEALTH_POLL_SECONDS),
            ("item changes", changes.apply, CHANGES_POLL_SECONDS),
            ("refusals", refusals.write, REFUSALS_POLL_SECONDS),
            ("repair", self.rollout.repair, REPAIR_SECONDS),
            ("retention", partial(delete_expired, self.store), RETENTION_POLL_SECONDS),
        ]
        if self.rules:
            tasks.append(("rules", self.rules.refresh, FILE_POLL_SECONDS))
        if self.topics:
            tasks.append(("topics", self.topics.refresh, FILE_POLL_SECONDS))
        if self.settings.release is None:  # a pinned release ignores what is wanted
            tasks.append(("rollout", self.rollout.advance, ROLLOUT_POLL_SECONDS))
        return tasks

    def start(self, port: int) -> None:
        """Start the background tasks.

        Args:
            port: that of the gateway, by which its fleet knows it.
        """
        with structlog.contextvars.bound_contextvars(**log_fields(self.tenant)):
            for name, step, pause in self.list_tasks():
                self.background.repeat(name, step, pause)
            if self.backends.fleet is not None:
                name = f"{socket.gethostname()}:{port}/{os.getpid()}"
                report = partial(self.backends.fleet.report, name, self.rollout)
                self.background.repeat("fleet report", report, REPORT_SECONDS)

    async def stop(self) -> None:
        """End all work."""
        await self.background.stop()
        await self.rollout.stop()
        self.audience_search.close()


async def open_shop(
    settings: Settings, closing: AsyncExitStack, *, tenant: str | None = None, check: bool = False, supervised: bool
) -> Shop:
    """Open the backends of a shop, and load its release.

    Args:
        settings: those of the shop.
        closing: closes what is opened.
        tenant: its name; None in a gateway without tenants.
        check: check the whole state for damage.
        supervised: whether another process loads releases into its Triton.

    Raises:
        OSError, IndexStorageError, PortraitError, ReleaseError, RulesError, StoreError, TopicsError, TrafficError,
            TritonError: a part can't be used.
    """
    with structlog.contextvars.bound_contextvars(**log_fields(tenant)):
        rules = LiveFile("rules", settings.rules, read_shop_rules, RulesError) if settings.rules else None
        backends = await open_backends(settings, closing, supervised=supervised)
        if check:
            await backends.store.check()
        last_change = await backends.store.last_item_change()
        rollout = await load_rollout(settings, backends, closing)
        _log.info("release_loaded", release=rollout.registry.routes.traffic.serving, triton=backends.triton_version)
    permissions, background = Permissions(backends.store, settings.consent_rules), Background()
    eligibility = AudienceEligibility(backends.store, permissions)
    shop = Shop(
        tenant=tenant,
        settings=settings,
        backends=backends,
        rollout=rollout,
        last_change=last_change,
        metrics=Metrics(settings.max_deadline_seconds),
        background=background,
        health=HealthService(SERVICE_NAMES, backends.store, {"background": background.failure}),
        gates={workload: Gate(settings.max_concurrent_rpcs, settings.caller_share) for workload in Workload},
        response_cache=ResponseCache(settings.response_cache_mib * _MIB),
        permissions=permissions,
        snapshots=TableSnapshots(settings.audiences, backends.store.identity),
        audience_search=AudienceSearch(
            settings.min_audience_size, eligibility.filter_permitted, eligibility.filter_by_region
        ),
        rules=rules,
        topics=LiveTopics(backends.sensitive, rollout.registry) if backends.sensitive else None,
        hasher=open_hasher(settings.shopper_keys),
    )
    _register_metrics(shop)
    return shop


def log_fields(tenant: str | None) -> dict[str, str]:
    """Return what log lines of a tenant say of it: nothing in a gateway without tenants."""
    return {} if tenant is None else {"tenant": tenant}


def _register_metrics(shop: Shop) -> None:
    """Register the metrics of all parts."""
    metrics = shop.metrics
    if shop.settings.state_url is None:
        metrics.register_state(shop.settings.state)
    metrics.register_releases(shop.rollout)
    if isinstance(shop.rollout.triton, EmbeddedTriton):
        metrics.register_triton(shop.rollout.triton)
    metrics.register_admission(shop.gates)
    metrics.register_response_cache(shop.response_cache)
    metrics.register_consents(shop.permissions)
    metrics.register_audiences(shop.audience_search, shop.snapshots, shop.registry)
