"""Options and arguments that several commands take."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer


def in_utc(moment: datetime | None) -> datetime | None:
    """Take a moment of the command line, which has no time zone, for UTC."""
    return moment and moment.replace(tzinfo=UTC)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Catalogue = Annotated[str, typer.Option(help="Name of the catalogue; empty means products.")]
Query = Annotated[str, typer.Option(help="What the shopper asks for.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(callback=in_utc, help="The moment to answer for, UTC; later events are not seen. Default: now."),
]
AllowDegraded = Annotated[bool, typer.Option("--allow-degraded", help="Rather an answer without the models than none.")]
ShopperId = Annotated[str, typer.Argument(help="Id of the shopper.")]
UseTls = Annotated[bool, typer.Option("--tls", help="Call with TLS.")]
RootCertificates = Annotated[
    Path | None, typer.Option(help="PEM file of authorities that the server is recognised by; implies --tls.")
]
Certificate = Annotated[
    Path | None, typer.Option(help="PEM file of the caller's own certificate, with --key; implies --tls.")
]
CertificateKey = Annotated[Path | None, typer.Option(help="PEM file of the key of --certificate.")]


def require_pair(certificate: Path | None, key: Path | None) -> None:
    """Require a certificate and its key together, or neither.

    Raises:
        typer.BadParameter: one of them is missing.
    """
    if (certificate is None) != (key is None):
        raise typer.BadParameter("--certificate and --key go together")


@contextmanager
def open_input(file: str) -> Iterator[tuple[BinaryIO, str]]:
    """Open a file, or standard input for `-`; gives it and its name for messages.

    Raises:
        OSError: it can't be read.
    """
    if file == "-":
        yield sys.stdin.buffer, "standard input"
        return
    with Path(file).open("rb") as lines:
        yield lines, file
