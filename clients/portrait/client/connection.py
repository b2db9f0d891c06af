"""Connection of the commands that call a gateway: their shared options, and errors in one line."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from portrait.client.enums import DEFAULT_ADDRESS, DEFAULT_TIMEOUT, Priority
from portrait.client.shared_options import (
    Certificate,
    CertificateKey,
    RootCertificates,
    TokenFile,
    UseTls,
    read_token,
    require_pair,
)

if TYPE_CHECKING:
    from portrait.client.errors import PortraitError
    from portrait.client.sync import Client

Command = Callable[..., None]


@contextmanager
def _client(
    address: Annotated[str, typer.Option(envvar="PORTRAIT_ADDRESS", help="host:port of the gateway, or unix:PATH.")],
    timeout: Annotated[float, typer.Option(min=0.001, help="Time limit of a call in seconds, retries included.")],
    tls: UseTls = False,
    root_certificates: RootCertificates = None,
    certificate: Certificate = None,
    key: CertificateKey = None,
    token_file: TokenFile = None,
    caller: Annotated[
        str, typer.Option(help="Name of the caller; an overloaded gateway divides its capacity between callers.")
    ] = "",
    priority: Annotated[
        Priority, typer.Option(help="batch if nobody waits: such calls get the capacity that interactive calls leave.")
    ] = Priority.INTERACTIVE,
) -> "Iterator[Client]":
    """Open a client from the options of the command line.

    An error inside ends the command: exit code 2 if the caller can fix the cause, 1 otherwise.
    """
    from portrait.client.arguments import ArgumentError
    from portrait.client.channels import Tls
    from portrait.client.errors import (
        AccessDeniedError,
        FailedPreconditionError,
        InvalidRequestError,
        NotFoundError,
        PortraitError,
    )
    from portrait.client.files import FileError
    from portrait.client.sync import Client

    require_pair(certificate, key)
    secure = Tls(root_certificates, certificate, key) if tls or root_certificates or certificate else None
    try:
        try:
            opened = Client(
                address, tls=secure, timeout=timeout, caller=caller, priority=priority, token=read_token(token_file)
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        with opened as client:
            yield client
    except UnicodeError:
        _end("an argument is not UTF-8", 2)
    except (ArgumentError, FileError) as error:
        _end(str(error), 2)
    except OSError as error:
        if error.filename is None:
            raise  # the reader of the output is gone; typer ends the command silently
        _end(f"{error.filename}: {error.strerror}", 2)
    except (AccessDeniedError, FailedPreconditionError, InvalidRequestError, NotFoundError) as error:
        _end(_describe(error), 2)
    except PortraitError as error:
        hint = f" (retry after {error.retry_after:g} s)" if error.retry_after else ""
        _end(f"{address}: {error}{hint}", 1)


def calling(timeout: float = DEFAULT_TIMEOUT) -> Callable[[Command], Command]:
    """Replace the parameter `client` of a command by the options that connect to a gateway.

    Args:
        timeout: default time limit of a call in seconds.
    """
    defaults = {"address": DEFAULT_ADDRESS, "timeout": timeout}
    options = [
        option.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=defaults.get(option.name, option.default))
        for option in inspect.signature(_client).parameters.values()
    ]

    def with_client(command: Command) -> Command:
        @functools.wraps(command)
        def with_options(**given: Any) -> None:
            chosen = {option.name: given.pop(option.name) for option in options}
            with _client(**chosen) as client:
                command(client, **given)

        _, *rest = inspect.signature(command).parameters.values()
        parameters = [*rest, *options]
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return with_client


def _describe(error: "PortraitError") -> str:
    """Return the message of an error, with all fields at fault."""
    if not error.violations:
        return str(error)
    return f"{error.kind}: " + "; ".join(f"{each.field}: {each.description}" for each in error.violations)


def _end(message: str, code: int) -> NoReturn:
    label = "error:" if os.environ.get("NO_COLOR") else typer.style("error:", fg="red")
    typer.echo(f"{label} {' '.join(message.split())}", err=True)
    raise typer.Exit(code)
