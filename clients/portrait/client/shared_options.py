"""Options and arguments that several commands take."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

_TOKEN = re.compile(rb"[A-Za-z0-9._=-]{1,8192}")


def in_utc(time: datetime | None) -> datetime | None:
    """Set the time zone of a time from the command line to UTC."""
    return time and time.replace(tzinfo=UTC)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Catalogue = Annotated[str, typer.Option(help="Name of the catalogue; empty means products.")]
Query = Annotated[str, typer.Option(help="The shopper's query.")]
Categories = Annotated[
    list[str] | None, typer.Option(help="Only items in this category, names joined by '>'; may be repeated.")
]
Brands = Annotated[list[str] | None, typer.Option(help="Only items of this brand; may be repeated.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Id of an item to exclude; may be repeated.")]
MinPrice = Annotated[float | None, typer.Option(help="Minimum price.")]
MaxPrice = Annotated[float | None, typer.Option(help="Maximum price.")]
ExcludeSeen = Annotated[bool, typer.Option("--exclude-seen", help="Exclude items that occur in the shopper's history.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(callback=in_utc, help="The time to compute for, in UTC; later events are ignored. Default: now."),
]
AllowDegraded = Annotated[
    bool, typer.Option("--allow-degraded", help="Accept a result computed without the models while they are down.")
]
ShopperId = Annotated[str, typer.Argument(help="Id of the shopper.")]
UseTls = Annotated[bool, typer.Option("--tls", help="Call with TLS.")]
RootCertificates = Annotated[
    Path | None, typer.Option(help="PEM file of certificate authorities that verify the server; implies --tls.")
]
Certificate = Annotated[
    Path | None, typer.Option(help="PEM file of the client certificate; needs --key and implies --tls.")
]
CertificateKey = Annotated[Path | None, typer.Option(help="PEM file of the private key of --certificate.")]


def split_category(text: str) -> list[str]:
    """Split the names of a category path, which are joined by `>`."""
    return [name.strip() for name in text.split(">")]


TokenFile = Annotated[
    Path | None,
    typer.Option(envvar="PORTRAIT_TOKEN_FILE", help="File with the token (JWT) of the caller; read before each call."),
]


def read_token(file: Path | None) -> Callable[[], str]:
    """Return a function that reads the token of a file, as it then is; without a file it returns no token.

    The function raises an OSError if the file can't be read, and an ArgumentError if it holds no token.
    """

    def read() -> str:
        from portrait.client.arguments import ArgumentError

        if file is None:
            return ""
        token = file.read_bytes().strip()
        if not _TOKEN.fullmatch(token):
            raise ArgumentError(f"{file} holds no token: one word of letters, digits and `._-` is wanted")
        return token.decode()

    return read


def require_pair(certificate: Path | None, key: Path | None) -> None:
    """Require both a certificate and its key, or neither.

    Raises:
        typer.BadParameter: one of them is missing.
    """
    if (certificate is None) != (key is None):
        raise typer.BadParameter("--certificate and --key go together")


@contextmanager
def open_input(file: str) -> Iterator[tuple[BinaryIO, str]]:
    """Open a file, or standard input for `-`; yields it and its name for messages.

    Raises:
        OSError: the file can't be read.
    """
    if file == "-":
        yield sys.stdin.buffer, "standard input"
        return
    with Path(file).open("rb") as lines:
        yield lines, file
