"""The command `portrait serve`."""

import functools
import inspect
import os
import sys
import tomllib
from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from portrait.server.settings import Settings


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `(settings, **rest)` one option a field of Settings, in place of `settings`."""

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in Settings.model_fields}
        command(_settings({name: value for name, value in chosen.items() if value is not None}), **given)

    _, *rest = inspect.signature(command).parameters.values()
    parameters = [*_options(), *rest]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _options() -> list[inspect.Parameter]:
    """One option a setting. Its default is None, which leaves the choice to environment, file and default."""
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                field.annotation | None,  # type: ignore[operator]
                typer.Option(
                    help=field.description,
                    show_default=False if field.default is None else str(field.default),
                ),
            ],
        )
        for name, field in Settings.model_fields.items()
    ]


def _settings(given: dict[str, Any]) -> Settings:
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = [
            ": ".join([*map(str, problem["loc"]), problem["msg"]])
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise typer.BadParameter("; ".join(problems)) from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise typer.BadParameter(f"settings_file: {error}") from None


@_with_settings
def serve(
    settings: Settings,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Load and check everything, serve nothing, exit 0 if all is well.")
    ] = False,
) -> None:
    """Serve a release over gRPC, until SIGTERM or SIGINT.

    Each setting is an option; or a variable of the environment (--drain-seconds: PORTRAIT_DRAIN_SECONDS);
    or a line of the settings file (drain_seconds = 30). The first of these that is there counts.

    Writes one JSON line with "event": "ready" and the address to stderr once calls are served.
    """
    _in_environment()
    # Imported here, so that `portrait --help` does not load all of the gateway.
    from portrait.server.app import run

    sys.exit(run(settings, check=check))


_ENVIRONMENT = {
    # gRPC's core logs to stderr past our log: it breaks into our lines, and repeats what callers sent.
    "GRPC_VERBOSITY": "NONE",
    # Requests share the cores already. Threads for the small products of one request wait for each other, busily.
    "OPENBLAS_NUM_THREADS": "1",
}
"""What libraries read when they are imported; what is set already is left."""


def _in_environment() -> None:
    """Start this program anew, in this process, in the environment that the gateway's libraries need.

    The client has imported grpc by now, and gRPC's core looks at its variable only then.
    """
    missing = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    if missing:
        os.environ.update(missing)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell is wanted
