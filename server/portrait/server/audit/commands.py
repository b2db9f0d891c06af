"""The commands `portrait audit …`: check and read an audit log."""

import json
from pathlib import Path
from typing import Annotated

import typer

from portrait.features.logs.pseudonym_keys import KeyFileError
from portrait.features.logs.shopper_hashes import read_shopper_hasher
from portrait.server.audit.log import AuditError, read_lines, verify

audit = typer.Typer(
    no_args_is_help=True, help="Check an audit log, or print its lines: who did what for which shopper, and why."
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The audit log that `portrait serve --audit-log` writes.")]


@audit.command("verify")
def verify_(
    file: File,
    head: Annotated[
        str | None,
        typer.Option(
            help="Hash of a line that must still be there, as an earlier check printed it. Note it elsewhere."
        ),
    ] = None,
) -> None:
    """Check that no line was changed, added or taken out; print the number of lines and the hash of the last."""
    try:
        end = verify(file, head)
    except AuditError as error:
        raise _fail(error) from error
    typer.echo(f"{end.lines} lines, as they were written; the last has the hash {end.sha256}")


@audit.command("list")
def list_(
    file: File,
    shopper: Annotated[str | None, typer.Option(help="Only lines about the shopper with this id.")] = None,
    shopper_keys: Annotated[
        Path | None,
        typer.Option(
            envvar="PORTRAIT_SHOPPER_KEYS", help="For --shopper: TOML file of the keys by which the log has ids."
        ),
    ] = None,
) -> None:
    """Print the lines as JSON, each after it was checked."""
    chosen: set[int] = set()
    try:
        hashes = None if shopper is None else {*read_shopper_hasher(shopper_keys).list_hashes(shopper)}
        for line in read_lines(file):
            about = (line.get("shopper_sha256"), line.get("anonymous_sha256"))
            if hashes is None or not hashes.isdisjoint(about) or line.get("of") in chosen:
                chosen.add(line["number"])
                typer.echo(json.dumps(line))
    except (AuditError, KeyFileError) as error:
        raise _fail(error) from error


def _fail(error: Exception) -> typer.Exit:
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)
    return typer.Exit(2)
