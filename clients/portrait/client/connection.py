"""What the commands that call a gateway share: the options to reach it, and failures told in one line."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from portrait.client.enums import DEFAULT_ADDRESS, DEFAULT_TIMEOUT, Priority
from portrait.client.shared_options import Certificate, CertificateKey, RootCertificates, UseTls, require_pair

if TYPE_CHECKING:
    from portrait.client.errors import PortraitError
    from portrait.client.sync import Client

Command = Callable[..., None]


@contextmanager
def _client(
    address: Annotated[str, typer.Option(envvar="PORTRAIT_ADDRESS", help="host:port of the gateway, or unix:PATH.")],
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that a call may take, retries included.")],
    tls: UseTls = False,
    root_certificates: RootCertificates = None,
    certificate: Certificate = None,
    key: CertificateKey = None,
    caller: Annotated[str, typer.Option(help="Who calls; an overloaded gateway shares itself between callers.")] = "",
    priority: Annotated[
        Priority, typer.Option(help="batch if nobody waits: it gets what interactive calls leave.")
    ] = Priority.INTERACTIVE,
) -> "Iterator[Client]":
    """A client by the options of the command line.

    What fails within ends the command: exit code 2 for what the caller can mend, 1 for the rest.
    """
    from portrait.client.arguments import ArgumentError
    from portrait.client.channels import Tls
    from portrait.client.errors import FailedPreconditionError, InvalidRequestError, NotFoundError, PortraitError
    from portrait.client.files import FileError
    from portrait.client.sync import Client

    require_pair(certificate, key)
    secure = Tls(root_certificates, certificate, key) if tls or root_certificates or certificate else None
    try:
        try:
            opened = Client(address, tls=secure, timeout=timeout, caller=caller, priority=priority)
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
            raise  # a reader of the output is gone, which typer ends in silence
        _end(f"{error.filename}: {error.strerror}", 2)
    except (FailedPreconditionError, InvalidRequestError, NotFoundError) as error:
        _end(_words(error), 2)
    except PortraitError as error:
        hint = f" (retry after {error.retry_after:g} s)" if error.retry_after else ""
        _end(f"{address}: {error}{hint}", 1)


def calling(timeout: float = DEFAULT_TIMEOUT) -> Callable[[Command], Command]:
    """Give a command `(client, **rest)` the options to reach a gateway in place of `client`.

    Args:
        timeout: seconds that a call of the command may take, unless the user says otherwise.
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


def _words(error: "PortraitError") -> str:
    """The message; where fields are at fault, all of them."""
    if not error.violations:
        return str(error)
    return f"{error.kind}: " + "; ".join(f"{each.field}: {each.description}" for each in error.violations)


def _end(message: str, code: int) -> NoReturn:
    label = "error:" if os.environ.get("NO_COLOR") else typer.style("error:", fg="red")
    typer.echo(f"{label} {' '.join(message.split())}", err=True)
    raise typer.Exit(code)
