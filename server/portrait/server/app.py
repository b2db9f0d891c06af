"""Entry points of the server's commands: each configures logs and the event loop, runs, and returns an exit code."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import structlog
import uvloop

from portrait.features.release.manifest import ReleaseError
from portrait.server import gateway, jobs
from portrait.server.access.rules import AccessError, load_access
from portrait.server.admission.costs import UnlistedMethod
from portrait.server.audiences.build_plan import Shard, TableBuildError
from portrait.server.audiences.trait_outcomes import OutcomesError
from portrait.server.doctor.configuration import check_configuration
from portrait.server.doctor.findings import Finding, Level
from portrait.server.doctor.fleet import check_fleet
from portrait.server.doctor.machine import check_machine
from portrait.server.errors import PortraitError
from portrait.server.processes.pool import ProcessError
from portrait.server.processes.supervisor import supervise
from portrait.server.processes.worker_settings import WorkerSettings
from portrait.server.rollout.traffic import TrafficError
from portrait.server.rpc.tls import TlsError, load_certificates
from portrait.server.rule_preview.calls import RecordedCalls
from portrait.server.rule_preview.preview import preview_rules
from portrait.server.rule_preview.report import format_preview
from portrait.server.rules.file import Rule, RulesError
from portrait.server.runtime import addresses, logs
from portrait.server.runtime.environment import ignored_variables
from portrait.server.runtime.orphans import run_reaping_orphans
from portrait.server.runtime.signals import cancel_on_signals, ignore_hangup
from portrait.server.runtime.tracing import TracingError, start_tracing
from portrait.server.search.errors import IndexStorageError
from portrait.server.sensitivity.topic_file import TopicsError
from portrait.server.settings import Settings
from portrait.server.shop import Shop, open_shop
from portrait.server.storage.store import StoreError
from portrait.server.tenants import TenantsError, read_shops, require_own_states
from portrait.server.triton import TritonError

_STARTUP_ERRORS = (
    AccessError, IndexStorageError, OSError, OutcomesError, PortraitError, ProcessError, ReleaseError, RulesError,
    StoreError, TableBuildError, TenantsError, TlsError, TopicsError, TracingError, TrafficError, TritonError,
    UnlistedMethod,
)  # fmt: skip
"""Expected errors of a start: one log line reports them, without a traceback."""

_log = structlog.get_logger(__name__)


def run_gateway(settings: Settings, *, check: bool = False) -> int:
    """Serve until SIGTERM or SIGINT, in one process or several. Returns the exit code.

    Args:
        settings: the settings of the gateway.
        check: load and check everything, then end without serving.
    """
    ignore_hangup()
    several = settings.processes > 1 and not check
    return _run(supervise(settings) if several else _run_process(settings, check=check), settings)


def run_worker(settings: WorkerSettings) -> int:
    """Serve as one of several processes on a port; write the URL of its metrics to stdout when it is ready.

    Args:
        settings: what the supervisor tells the process.

    Returns:
        the exit code.
    """
    ignore_hangup()
    return _run(_run_process(settings.gateway, told=settings), settings.gateway, shared=True)


def run_audience_table_build(settings: Settings, *, full: bool, as_of: datetime | None, shard: Shard) -> int:
    """Build or update the audience table of the serving release. Returns the exit code.

    Args:
        settings: the settings of the gateway.
        full: compute all rows, also of shoppers without new events.
        as_of: the moment of the profiles; None means now.
        shard: of the shoppers, that this process computes.
    """
    return _run(jobs.build_audience_table(settings, full, as_of, shard), settings)


def run_trait_check(settings: Settings, outcomes: Path) -> int:
    """Compare what traits stated with what came true; see `jobs.check_traits`. Returns the exit code."""
    return _run(jobs.check_traits(settings, outcomes), settings)


def run_deletion_export(settings: Settings) -> int:
    """Write the hashes of the deleted shoppers to stdout as CSV. Returns the exit code."""
    return _run(jobs.export_deletions(settings), settings)


def run_backup(settings: Settings, target: Path) -> int:
    """Write a backup of the state file. Returns the exit code."""
    return _run(jobs.back_up_state(settings, target), settings)


def run_index_release(settings: Settings, number: int | None, *, prune: bool) -> int:
    """Bring a release into the Milvus of the settings; see `jobs.index_release`. Returns the exit code."""
    return _run(jobs.index_release(settings, number, prune), settings)


def run_restore(settings: Settings, backup: Path, deletions: Path | None, *, without_deletions: bool) -> int:
    """Put a backup in the place of the state file; see `jobs.restore_state`. Returns the exit code."""
    return _run(jobs.restore_state(settings, backup, deletions, without_deletions), settings)


def run_migration(settings: Settings, source: str, target: str) -> int:
    """Copy a state from a file to Redis, or from Redis to a file. Returns the exit code."""
    return _run(jobs.migrate_state(settings, source, target), settings)


def run_doctor(settings: Settings, gateways: Sequence[str]) -> int:
    """Check machine, configuration and running gateways; print the findings. Returns the exit code."""
    findings: list[Finding] = []

    async def check() -> None:
        try:
            shops = read_shops(settings)
        except TenantsError as error:
            findings.extend([*check_machine(settings, {}), Finding(Level.FAULT, "tenants", str(error))])
        else:
            findings.extend(check_machine(settings, shops))
            findings.extend([finding async for finding in check_configuration(settings, shops)])
        findings.extend(await asyncio.to_thread(lambda: [*check_fleet(gateways)]))

    code = _run(check(), settings)
    for finding in findings:
        sys.stdout.write(f"{finding.level:<8} {finding.subject}: {' '.join(finding.text.split())}\n")
    return code or int(any(finding.level is Level.FAULT for finding in findings))


def run_rules_preview(
    settings: Settings, recorded: RecordedCalls, in_force: Sequence[Rule], new: Sequence[Rule]
) -> int:
    """Print what new rules change on recorded calls, against those in force. Returns the exit code."""

    async def preview() -> None:
        found = await preview_rules(settings, recorded.calls, in_force, new)
        for line in format_preview(found, recorded, in_force, new):
            sys.stdout.write(f"{line}\n")

    return _run(preview(), settings)


def _run(work: Coroutine[None, None, None], settings: Settings, *, shared: bool = False) -> int:
    """Run work in an event loop and report its expected errors; returns the exit code.

    Only one process warns of ignored variables, which a supervisor and its workers have in common.
    """
    with logs.logging_to_stderr(settings.log_level):
        ignored = {} if shared else ignored_variables(Settings.model_fields, os.environ)
        for variable, reason in ignored.items():
            _log.warning("variable_ignored", variable=variable, reason=reason)
        try:
            uvloop.run(run_reaping_orphans(work))
        except _STARTUP_ERRORS as error:
            _log.error("startup_failed", reason=str(error))
            return 1
        except asyncio.CancelledError:
            _log.error("startup_failed", reason="stopped before it was ready")
            return 1
        return 0


async def _run_process(settings: Settings, *, check: bool = False, told: WorkerSettings | None = None) -> None:
    """Open the shop, or that of each tenant, and serve unless this is only a check.

    Args:
        settings: the settings of the gateway.
        check: only check.
        told: what the supervisor of several processes tells this one.
    """
    cancel_on_signals()
    # Invalid certificates and addresses fail here, before the seconds that the start of Triton takes.
    certificates = load_certificates(settings)
    own_settings = told.shops if told else read_shops(settings)
    supervised = told.supervised if told else frozenset()
    access = load_access(settings.access, settings.tls_client_ca is not None, [each for each in own_settings if each])
    addresses.require_local_address("host", settings.host)
    addresses.require_local_address("metrics_host", settings.metrics_host)
    async with AsyncExitStack() as closing:
        if settings.otlp_endpoint and not check:
            closing.push_async_callback(asyncio.to_thread, start_tracing(settings.otlp_endpoint))
        shops: dict[str | None, Shop] = {}
        for tenant, own in own_settings.items():
            shops[tenant] = await open_shop(own, closing, tenant=tenant, check=check, supervised=tenant in supervised)
            require_own_states({name: shop.store.identity for name, shop in shops.items()})
        if not check:
            await gateway.serve(settings, shops, certificates, access, shared=told is not None)
        # A gateway that serves goes on without a release that it could not load and tries it again; a check must fail.
        for shop in shops.values() if check else ():
            setbacks = shop.rollout.setbacks
            for release, setback in (setbacks.refused | setbacks.delayed).items():
                raise ReleaseError(f"release {release}: {setback.reason}")
