"""The commands that call a gateway: `portrait record`, `profile`, `recommend`, `rank`, `upsert`."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from portrait.client import files, tables
from portrait.client.calls import EVENTS_PER_CALL
from portrait.client.channels import DEFAULT_ADDRESS, Tls
from portrait.client.errors import InvalidRequestError, NotFoundError, PortraitError
from portrait.client.results import Filter, Item
from portrait.client.sync import Client

_ITEMS_PER_CALL = 500

Address = Annotated[str, typer.Option(envvar="PORTRAIT_ADDRESS", help="host:port of the gateway.")]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds that a call may take.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Catalogue = Annotated[str, typer.Option(help="Name of the catalogue; empty means products.")]
Query = Annotated[str, typer.Option(help="What the shopper asks for.")]
RootCertificates = Annotated[Path | None, typer.Option(help="PEM file of authorities: call with TLS.")]
AsOf = Annotated[
    datetime | None, typer.Option(help="The moment to answer for, UTC; later events are not seen. Default: now.")
]
ShopperId = Annotated[str, typer.Argument(help="Id of the shopper.")]


@contextmanager
def _calling(address: str, timeout: float, root_certificates: Path | None) -> Iterator[Client]:
    """A client whose failures are told in one line: exit code 2 for what the caller can mend, else 1."""
    errors = Console(stderr=True)
    try:
        tls = Tls(root_certificates) if root_certificates else None
        with Client(address, tls=tls, timeout=timeout) as client:
            yield client
    except (files.FileError, OSError) as error:
        errors.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except PortraitError as error:
        errors.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        for violation in error.violations:
            errors.print(f"  {violation.field}: {violation.description}", highlight=False, soft_wrap=True)
        raise typer.Exit(2 if isinstance(error, InvalidRequestError | NotFoundError) else 1) from None


def record(
    file: Annotated[str, typer.Argument(help="CSV or JSON lines of events with shopper_id; - for standard input.")],
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 30.0,
    root_certificates: RootCertificates = None,
    as_json: AsJson = False,
) -> None:
    """Record events. Safe to repeat where the file names event ids."""
    totals = {"accepted": 0, "duplicates": 0, "rejected": 0}
    errors = Console(stderr=True)
    with _calling(address, timeout, root_certificates) as client, _opened(file) as lines:
        rows = files.read_events(lines, file)
        while part := list(islice(rows, EVENTS_PER_CALL)):
            summary = client.record_events([(shopper_id, event) for _, shopper_id, event in part])
            totals["accepted"] += summary.accepted
            totals["duplicates"] += summary.duplicates
            totals["rejected"] += len(summary.rejected)
            for each in summary.rejected:
                errors.print(f"line {part[each.index][0]}: {each.field}: {each.message}", highlight=False)
    if as_json:
        typer.echo(json.dumps(totals))
    else:
        typer.echo(", ".join(f"{count:,} {name}" for name, count in totals.items()))
    raise typer.Exit(2 if totals["rejected"] else 0)


def profile(
    shopper_id: ShopperId,
    embedding: Annotated[bool, typer.Option("--embedding", help="With --json: the embedding as well.")] = False,
    as_of: AsOf = None,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 5.0,
    root_certificates: RootCertificates = None,
    as_json: AsJson = False,
) -> None:
    """Print what a shopper's history says."""
    fields = ["interests", "keywords", "price_bands", "event_count", "first_event_time", "last_event_time"]
    with _calling(address, timeout, root_certificates) as client:
        found = client.get_profile(shopper_id, as_of=as_of, fields=[*fields, "embedding"] if embedding else None)
    if as_json:
        _print_json(found)
    else:
        tables.print_profile(Console(), found)


def recommend(
    shopper_id: ShopperId,
    query: Query = "",
    k: Annotated[int, typer.Option("--k", "-k", help="How many items, 1 to 1000.")] = 10,
    catalogue: Catalogue = "",
    category: Annotated[
        list[str] | None, typer.Option(help="Only items under this path, names joined by '>'; may be repeated.")
    ] = None,
    min_price: Annotated[float | None, typer.Option(help="Only items at this price or dearer.")] = None,
    max_price: Annotated[float | None, typer.Option(help="Only items at this price or cheaper.")] = None,
    exclude_seen: Annotated[bool, typer.Option("--exclude-seen", help="Leave out what the shopper knows.")] = False,
    as_of: AsOf = None,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 5.0,
    root_certificates: RootCertificates = None,
    as_json: AsJson = False,
) -> None:
    """Recommend items to a shopper."""
    paths = [[part.strip() for part in path.split(">")] for path in category or ()]
    chosen = Filter(categories=paths, min_price=min_price, max_price=max_price)
    with _calling(address, timeout, root_certificates) as client:
        ranking = client.recommend(
            shopper_id,
            query=query,
            k=k,
            catalogue=catalogue,
            filter=chosen,
            exclude_seen=exclude_seen,
            as_of=as_of,
        )
    title = f"{len(ranking.items)} recommendations" + (f" for {query!r}" if query else "")
    if as_json:
        _print_json(ranking)
    else:
        tables.print_ranking(Console(), ranking, title)


def rank(
    shopper_id: ShopperId,
    item: Annotated[list[str] | None, typer.Option(help="Id of a candidate; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option(help="CSV or JSON lines of candidates.")] = None,
    query: Query = "",
    catalogue: Catalogue = "",
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 5.0,
    root_certificates: RootCertificates = None,
    as_json: AsJson = False,
) -> None:
    """Put candidates in order for a shopper."""
    with _calling(address, timeout, root_certificates) as client:
        candidates = [Item(item_id) for item_id in item or ()]
        if file:
            with _opened(str(file)) as lines:
                candidates.extend(files.read_items(lines, str(file)))
        ranking = client.rank(shopper_id, candidates, query=query, catalogue=catalogue)
    if as_json:
        _print_json(ranking)
    else:
        tables.print_ranking(Console(), ranking, f"{len(ranking.items)} candidates")


def upsert(
    file: Annotated[str, typer.Argument(help="CSV or JSON lines of items; - for standard input.")],
    catalogue: Catalogue = "",
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 30.0,
    root_certificates: RootCertificates = None,
) -> None:
    """Add items to a catalogue, or replace them."""
    stored, rejected, errors = 0, 0, Console(stderr=True)
    with _calling(address, timeout, root_certificates) as client, _opened(file) as lines:
        items = files.read_items(lines, file)
        sent = 0
        while part := list(islice(items, _ITEMS_PER_CALL)):
            summary = client.upsert_items(part, catalogue=catalogue)
            stored, rejected = stored + summary.stored, rejected + len(summary.rejected)
            for each in summary.rejected:
                errors.print(f"item {sent + each.index + 1}: {each.field}: {each.message}", highlight=False)
            sent += len(part)
    typer.echo(f"{stored:,} stored, {rejected:,} rejected")
    raise typer.Exit(2 if rejected else 0)


@contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    if file == "-":
        yield sys.stdin
        return
    with Path(file).open(encoding="utf-8", newline="") as lines:
        yield lines


def _print_json(value: Any) -> None:
    def plain(each: Any) -> Any:
        return each.isoformat() if isinstance(each, datetime) else list(each)

    typer.echo(json.dumps(dataclasses.asdict(value), default=plain, ensure_ascii=False))
