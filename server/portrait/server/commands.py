"""The commands of the server: `portrait serve`, and those that work on its state file and audience tables."""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import ValidationError

from portrait.server.runtime.exits import exit_at_once
from portrait.server.runtime.setting_errors import SettingSources
from portrait.server.settings import Settings
from portrait.server.tenants import GATEWAY_SETTINGS

ENGINE_SETTINGS = (
    "settings_file",
    "repository",
    "release",
    "releases_url",
    "verify_key",
    "state",
    "state_url",
    "state_replicas",
    "shopper_keys",
    "retain",
    "index_url",
    "sensitive",
    "triton_url",
    "triton_admin_key",
    "triton_log",
    "text_cache_mib",
)
"""Settings of the commands that answer with a release about recorded shoppers, as a gateway does."""
_TABLE_SETTINGS = (*ENGINE_SETTINGS, "audiences")
"""Settings of the commands that compute profiles of recorded shoppers, for audience tables."""


def with_settings(names: Collection[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `(settings, **rest)` options in place of `settings`: one each for some fields of Settings."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_options(**given: Any) -> None:
            chosen = {name: given.pop(name) for name in names}
            settings = _settings({name: value for name, value in chosen.items() if value is not None})
            _require_one_shop(settings, names)
            command(settings, **given)

        _, *rest = inspect.signature(command).parameters.values()
        parameters = sorted([*_options(names), *rest], key=lambda parameter: parameter.kind)  # arguments first
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return decorate


def _require_one_shop(settings: Settings, names: Collection[str]) -> None:
    """End a command that works on one shop where the settings name only tenants: it would work on the default files."""
    uses_default_files = not {"repository", "state"}.isdisjoint(names) and settings.model_fields_set <= GATEWAY_SETTINGS
    if settings.tenants and "tenants" not in names and uses_default_files:
        typer.echo(
            "error: tenants: this command works on one shop: give --settings-file with the file of a tenant", err=True
        )
        raise typer.Exit(2)


def _require_state_file(settings: Settings) -> None:
    """End a command that works on the state file where the state is in Redis: the file, if there is one, is another."""
    if settings.state_url is not None:
        typer.echo(
            "error: state_url: the state of these settings is in Redis, and this command works on a state file: use "
            "Redis's own backups, or copy the state with `portrait migrate-state`",
            err=True,
        )
        raise typer.Exit(2)


def _options(names: Collection[str]) -> list[inspect.Parameter]:
    """Make one option for each setting. Its default is None, which leaves the value to environment, file and default.

    Options are texts, which Settings parses, so that a wrong value has the same message wherever it comes from.
    """
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None,
                typer.Option(
                    metavar=_metavar(field.annotation),
                    help=field.description,
                    show_default=False if field.default is None else str(field.default),
                ),
            ],
        )
        for name, field in Settings.model_fields.items()
        if name in names
    ]


def _metavar(annotation: Any) -> str:
    """Name the kind of value that an option takes, for `--help`."""
    [kind, *_] = [each for each in get_args(annotation) if each is not NoneType] or [annotation]
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    if issubclass(kind, Enum):
        return "|".join(each.value for each in kind)
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")


def _settings(given: dict[str, Any]) -> Settings:
    sources = SettingSources(Settings.model_fields, given, os.environ)
    try:
        return Settings(**given)
    except ValidationError as error:
        message = sources.describe(error)
    except (OSError, ValueError) as error:
        message = sources.describe_file(error)
    except RecursionError:
        message = "the settings file is nested too deeply"
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    raise typer.Exit(2)


@with_settings(Settings.model_fields)
def serve(
    settings: Settings,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Load and check everything without serving; exit code 0 if all is well.")
    ] = False,
) -> None:
    """Serve a release over gRPC, until SIGTERM or SIGINT.

    A setting is read from its option, else from its environment variable (--drain-seconds: PORTRAIT_DRAIN_SECONDS),
    else from the settings file (drain_seconds = 30).

    Writes one JSON line with "event": "ready" and the address to stderr once it serves calls.
    """
    in_environment()
    # Imported here, so that `portrait --help` does not load all of the gateway.
    from portrait.server.app import run_gateway

    exit_at_once(run_gateway(settings, check=check))


@with_settings(_TABLE_SETTINGS)
def build_audience_table(
    settings: Settings,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Compute every row, not only those of shoppers with new events.")
    ] = False,
    as_of: Annotated[
        datetime | None, typer.Option(help="Time of all profiles, in UTC; later events are ignored. Default: now.")
    ] = None,
    shard: Annotated[
        str,
        typer.Option(
            metavar="NUMBER/COUNT",
            help="Compute one of COUNT parts of the shoppers, by a hash of their ids. Give each part, from 1/COUNT to "
            "COUNT/COUNT, to a process of its own; the last that is ready makes the table.",
        ),
    ] = "1/1",
) -> None:
    """Build or update the audience table, in which audiences are found.

    Computes the profile of every shopper in the state file with the serving release, as GetProfile does, and replaces
    the previous table atomically. The next run resumes an interrupted one. Settings are read as by `portrait serve`.
    Writes JSON lines to stderr; the last has "event": "audience_table_built", or "audience_table_shard_built" while
    other shards are not ready.
    """
    in_environment()
    from portrait.server.app import run_audience_table_build
    from portrait.server.audiences.build_plan import Shard

    try:
        chosen = Shard.parse(shard)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shard") from None
    moment = as_of and as_of.replace(tzinfo=UTC)
    exit_at_once(run_audience_table_build(settings, full=full, as_of=moment, shard=chosen))


@with_settings(_TABLE_SETTINGS)
def check_traits(
    settings: Settings,
    outcomes: Annotated[
        Path,
        typer.Argument(help="CSV file that `portrait label-traits` wrote of the log up to now.", show_default=False),
    ],
) -> None:
    """Compare what traits stated with what came true, for the review queue.

    Computes what the serving release says of a sample of the shoppers as of the moment of the outcomes, and keeps the
    difference beside the audience tables: `portrait review queue` lists a trait that is calibrated otherwise than on
    its test, from the next `portrait build-audience-table` on. Settings are read as by `portrait serve`. Writes JSON
    lines to stderr; the last has "event": "traits_checked".
    """
    in_environment()
    from portrait.server.app import run_trait_check

    exit_at_once(run_trait_check(settings, outcomes))


@with_settings(("settings_file", "state", "state_url", "shopper_keys"))
def export_deletions(settings: Settings) -> None:
    """Print the forgotten shoppers, for `portrait prepare --deletions`.

    Writes CSV: a hash of each shopper's id, by SHA-256 or by a key of --shopper-keys, and the time. A gateway may use
    the state meanwhile.
    """
    from portrait.server.app import run_deletion_export

    sys.exit(run_deletion_export(settings))


@with_settings(("settings_file", "state"))
def backup(
    settings: Settings,
    file: Annotated[Path, typer.Argument(help="File to write; must not exist.", show_default=False)],
) -> None:
    """Write a backup of the state file, while gateways go on using it.

    The backup is one file, readable only by its owner, with every event, consent, deletion and changed item of one
    moment. Releases and audience tables are not in it. Writes a JSON line with "event": "backup_written" to stderr.
    """
    _require_state_file(settings)
    from portrait.server.app import run_backup

    sys.exit(run_backup(settings, file))


@with_settings(("settings_file", "state", "shopper_keys"))
def restore(
    settings: Settings,
    file: Annotated[Path, typer.Argument(help="The backup.", show_default=False)],
    *,
    deletions: Annotated[
        Path | None,
        typer.Option(help="List of forgotten shoppers that `portrait export-deletions` wrote after the backup."),
    ] = None,
    without_deletions: Annotated[
        bool,
        typer.Option(
            "--without-deletions", help="Restore even if nothing tells who was forgotten since: they come back."
        ),
    ] = False,
) -> None:
    """Put a backup in the place of the state file, without the shoppers who were forgotten since it was made.

    Stop all gateways first. Who was forgotten is read from the state file that is replaced, if it can be read, and from
    --deletions. That file is kept beside the new one. Audience tables have to be built anew. Writes a JSON line with
    "event": "state_restored" to stderr.
    """
    _require_state_file(settings)
    from portrait.server.app import run_restore

    sys.exit(run_restore(settings, file, deletions, without_deletions=without_deletions))


@with_settings(("settings_file", "state_replicas"))
def migrate_state(
    settings: Settings,
    source: Annotated[str, typer.Argument(metavar="FROM", help="State file, or URL of a Redis.", show_default=False)],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="The other of the two; must hold no state.", show_default=False)
    ],
) -> None:
    """Copy the state from a file to a Redis, or from a Redis to a file.

    Stop all gateways first. The copy is compared with its source: each part by its number and a hash of its contents.
    The source stays as it is. A run that was cut short goes on when it is started again; no gateway opens the copy
    before it is whole. Audience tables have to be built anew. Writes JSON lines to stderr; the last has "event":
    "state_migrated".
    """
    from portrait.server.app import run_migration

    sys.exit(run_migration(settings, source, target))


@with_settings(("settings_file", "repository", "releases_url", "state_url", "index_url"))
def index_release(
    settings: Settings,
    release: Annotated[
        int | None, typer.Argument(min=1, help="Number of the release. Default: the newest.", show_default=False)
    ] = None,
    *,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Afterwards drop the collections of retired releases: older than the serving one, and neither canary "
            "nor what a rollback returns to.",
        ),
    ] = False,
) -> None:
    """Bring the items of a release into Milvus, so that gateways with --index-url can load it.

    Run it after `portrait export` and before `portrait release promote`. Gateways see the collection once it is
    complete; a run that was interrupted is begun anew. Does nothing if the release is there. Writes JSON lines to
    stderr; one has "event": "release_indexed".
    """
    if settings.index_url is None:
        typer.echo("error: index_url: names no Milvus; give --index-url", err=True)
        raise typer.Exit(2)
    in_environment()
    from portrait.server.app import run_index_release

    sys.exit(run_index_release(settings, release, prune=prune))


@with_settings(Settings.model_fields)
def doctor(
    settings: Settings,
    *,
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            help="URL of a running gateway's metrics, such as http://127.0.0.1:9464/metrics; may be repeated."
        ),
    ] = None,
) -> None:
    """Check the machine, the configuration and running gateways, and say what is wrong.

    Takes the settings of `portrait serve`, and changes nothing. Prints a line for each finding; exit code 1 if one is a
    fault.
    """
    from portrait.server.app import run_doctor

    sys.exit(run_doctor(settings, gateway or []))


_ENVIRONMENT = {
    # gRPC's core writes to stderr by itself: into the middle of our log lines, and with data that callers sent.
    "GRPC_VERBOSITY": "NONE",
    # A fork would crash or hang now and then in handlers of gRPC, which no child of ours needs.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    # Requests already share the cores. Threads for the small matrix products and the search of one request would wait
    # in busy loops.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
"""Variables that libraries read when they are imported; a variable that is set already is not changed."""


def in_environment() -> None:
    """Restart this program, in the same process, with the environment that the gateway's libraries need.

    The client has already imported grpc, whose core reads its variable only at import.
    """
    missing = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    if missing:
        os.environ.update(missing)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell is wanted
