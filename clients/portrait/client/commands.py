"""The commands that call a gateway, from `portrait record` to `portrait forget`.

Modules that are slow to import are imported inside the functions, so that help is fast.
"""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby, islice
from typing import TYPE_CHECKING, Annotated

import typer

from portrait.client.connection import calling
from portrait.client.enums import ShelfKind
from portrait.client.shared_options import (
    AllowDegraded,
    AsJson,
    AsOf,
    Brands,
    Catalogue,
    Categories,
    Exclude,
    ExcludeSeen,
    MaxPrice,
    MinPrice,
    Query,
    ShopperId,
    open_input,
    split_category,
)

if TYPE_CHECKING:
    from portrait.client.profiles import Profile
    from portrait.client.results import Filter, ProfileExplanation, RankingExplanation, Rejection
    from portrait.client.sync import Client

_FILE_TIMEOUT = 30.0
_PROFILES_PER_CALL = 256
"""Limit of the contract."""


@calling(_FILE_TIMEOUT)
def record(
    client: "Client",
    file: Annotated[str, typer.Argument(help="CSV or JSON lines of events with shopper_id; - for standard input.")],
    as_json: AsJson = False,
) -> None:
    """Record the events of a log. Safe to repeat: each event is stored once."""
    from portrait.client import files
    from portrait.client.calls import EVENTS_PER_CALL
    from portrait.client.file_notes import FileNotes, find_currency

    counts = {"accepted": 0, "duplicates": 0, "rejected": 0}
    notes = FileNotes()

    def reject(row: files.RejectedRow) -> None:
        counts["rejected"] += 1
        typer.echo(f"{name}, line {row.line}, column {row.column!r}: {row.message}", err=True)

    with open_input(file) as (lines, name), _print_counts(counts, as_json), notes.printed(name):
        events = notes.read(files.read_events(lines, name, find_currency(file), reject))
        while part := list(islice(events, EVENTS_PER_CALL)):
            summary = client.record_events((each.shopper_id, each.event) for each in part)
            counts["accepted"] += summary.accepted
            counts["duplicates"] += summary.duplicates
            counts["rejected"] += len(summary.rejected)
            _print_rejected(name, [part[each.index].line for each in summary.rejected], summary.rejected)


@calling(_FILE_TIMEOUT)
def upsert(
    client: "Client",
    file: Annotated[str, typer.Argument(help="CSV or JSON lines of items; - for standard input.")],
    catalogue: Annotated[
        str, typer.Option(help="Catalogue of items whose line names none; empty means products.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Add items to a catalogue, or replace them."""
    from portrait.client import files
    from portrait.client.calls import ITEMS_PER_CALL
    from portrait.client.file_notes import FileNotes, find_currency

    counts = {"stored": 0, "rejected": 0}
    notes = FileNotes()
    with open_input(file) as (lines, name), _print_counts(counts, as_json), notes.printed(name):
        read = notes.read(files.read_items(lines, name, find_currency(file)))
        for stated, items in groupby(read, key=lambda listed: listed.catalogue):
            while part := list(islice(items, ITEMS_PER_CALL)):
                summary = client.upsert_items([each.item for each in part], catalogue=stated or catalogue)
                counts["stored"] += summary.stored
                counts["rejected"] += len(summary.rejected)
                _print_rejected(name, [part[each.index].line for each in summary.rejected], summary.rejected)


@calling()
def profile(
    client: "Client",
    shopper_id: ShopperId,
    embedding: Annotated[bool, typer.Option("--embedding", help="With --json: include the embedding.")] = False,
    label: Annotated[
        list[str] | None, typer.Option(help="Label in words for a zero-shot interest; may be repeated.")
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(help="Id of an example shopper for a zero-shot interest; several form one example set."),
    ] = None,
    traits: Annotated[bool, typer.Option("--traits", help="Include the release's traits.")] = False,
    chinese: Annotated[bool, typer.Option("--chinese", help="Print the summary in Chinese.")] = False,
    as_of: AsOf = None,
    allow_degraded: AllowDegraded = False,
    as_json: AsJson = False,
) -> None:
    """Print the profile of a shopper."""
    from rich.console import Console

    from portrait.client import outputs, tables
    from portrait.client.profiles import Profile

    left_out = {name for name, wanted in (("embedding", embedding), ("traits", traits)) if not wanted}
    asked = [field.name for field in dataclasses.fields(Profile) if field.name not in left_out]
    fields = asked if embedding or traits else None
    found = client.get_profile(
        shopper_id,
        as_of=as_of,
        fields=fields,
        labels=label or (),
        label_examples={"like these shoppers": like} if like else {},
        allow_degraded=allow_degraded,
    )
    if as_json:
        outputs.print_json(found)
    else:
        tables.print_profile(Console(), found, chinese=chinese)


@calling(_FILE_TIMEOUT)
def profiles(
    client: "Client",
    file: Annotated[str, typer.Argument(help="Ids of shoppers, one per line; - for standard input.")],
    as_of: AsOf = None,
    allow_degraded: AllowDegraded = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print complete profiles as JSON lines.")] = False,
) -> None:
    """Print one line for each shopper: the profile in short, or the error."""
    from rich.console import Console

    from portrait.client import files, outputs, tables
    from portrait.client.profiles import ProfileError

    found: list[tuple[str, Profile | ProfileError]] = []
    missing = 0
    with open_input(file) as (lines, name):
        ids = files.read_texts(lines, name)
        while part := list(islice(ids, _PROFILES_PER_CALL)):
            answers = client.batch_get_profiles(part, as_of=as_of, allow_degraded=allow_degraded)
            found += zip(part, answers, strict=True)
            missing += sum(isinstance(each, ProfileError) for each in answers)
            if as_json:
                for shopper_id, each in found:
                    outputs.print_json({"shopper_id": shopper_id} | dataclasses.asdict(each))
                found.clear()
    if not as_json:
        tables.print_profiles(Console(), found)
    if missing:
        typer.echo(f"{name}: {missing:,} have no profile", err=True)
        raise typer.Exit(2)


@calling()
def recommend(
    client: "Client",
    shopper_id: ShopperId,
    query: Query = "",
    k: Annotated[int, typer.Option("--k", "-k", help="Number of items, 1 to 1000.")] = 10,
    catalogue: Catalogue = "",
    category: Categories = None,
    brand: Brands = None,
    exclude: Exclude = None,
    min_price: MinPrice = None,
    max_price: MaxPrice = None,
    exclude_seen: ExcludeSeen = False,
    max_per_category: Annotated[
        int, typer.Option(help="Maximum number of items per category, 0 to 1000; 0 for no maximum.")
    ] = 0,
    as_of: AsOf = None,
    allow_degraded: AllowDegraded = False,
    as_json: AsJson = False,
) -> None:
    """Recommend items to a shopper."""
    from rich.console import Console

    from portrait.client import outputs, tables

    ranking = client.recommend(
        shopper_id,
        query=query,
        k=k,
        catalogue=catalogue,
        filter=_make_filter(category, brand, min_price, max_price, exclude),
        exclude_seen=exclude_seen,
        max_per_category=max_per_category,
        as_of=as_of,
        allow_degraded=allow_degraded,
    )
    if as_json:
        outputs.print_json(ranking)
    else:
        asked = f" for {query!r}" if query else ""
        heading = f"{tables.format_count(len(ranking.items), 'recommendation')}{asked}"
        tables.print_ranking(Console(), ranking, heading, only_rows=True)


@calling()
def shelf(
    client: "Client",
    shopper_id: ShopperId,
    kind: Annotated[ShelfKind, typer.Argument(help="Kind of the shelf.")],
    item: Annotated[
        list[str] | None,
        typer.Option(help="Id of an item that similar_items or frequently_bought_together belong to; may be repeated."),
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", help="Number of items, 1 to 1000.")] = 10,
    catalogue: Catalogue = "",
    category: Categories = None,
    brand: Brands = None,
    exclude: Exclude = None,
    min_price: MinPrice = None,
    max_price: MaxPrice = None,
    exclude_seen: ExcludeSeen = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Print items of one kind, such as those that are often bought together, with the reason for each."""
    from rich.console import Console

    from portrait.client import outputs, tables

    found = client.get_shelf(
        shopper_id,
        kind,
        item or (),
        catalogue=catalogue,
        k=k,
        filter=_make_filter(category, brand, min_price, max_price, exclude),
        exclude_seen=exclude_seen,
        as_of=as_of,
    )
    if as_json:
        outputs.print_json(found)
    else:
        tables.print_shelf(Console(), found, kind.replace("_", " "))


@calling()
def rank(
    client: "Client",
    shopper_id: ShopperId,
    item: Annotated[list[str] | None, typer.Option(help="Id of a candidate; may be repeated.")] = None,
    file: Annotated[str | None, typer.Option(help="CSV or JSON lines of candidates; - for standard input.")] = None,
    query: Query = "",
    catalogue: Catalogue = "",
    as_of: AsOf = None,
    allow_degraded: AllowDegraded = False,
    as_json: AsJson = False,
) -> None:
    """Rank candidates for a shopper."""
    from rich.console import Console

    from portrait.client import files, outputs, tables
    from portrait.client.results import Item

    candidates = [Item(item_id) for item_id in item or ()]
    if file:
        with open_input(file) as (lines, name):
            candidates.extend(listed.item for listed in files.read_items(lines, name))
    ranking = client.rank(
        shopper_id, candidates, query=query, catalogue=catalogue, as_of=as_of, allow_degraded=allow_degraded
    )
    if as_json:
        outputs.print_json(ranking)
    else:
        tables.print_ranking(Console(), ranking, tables.format_count(len(ranking.items), "candidate"), only_rows=True)


@calling(_FILE_TIMEOUT)
def encode(
    client: "Client", file: Annotated[str, typer.Argument(help="Texts, one per line; - for standard input.")]
) -> None:
    """Print the embedding of each line as JSON lines. Empty lines are skipped."""
    from portrait.client import files
    from portrait.client.bulk_encoding import encode_all

    with open_input(file) as (lines, name):
        for texts, encoded in encode_all(client, files.read_texts(lines, name)):
            for text, vector in zip(texts, encoded.vectors, strict=True):
                row = {"text": text, "release": encoded.release, "embedding": vector.tolist()}
                typer.echo(json.dumps(row, ensure_ascii=False))


@calling()
def explain(
    client: "Client",
    shopper_id: ShopperId,
    item: Annotated[str, typer.Option(help="Id of the item whose score to explain. Default: the profile.")] = "",
    interest: Annotated[
        str, typer.Option(help="Without --item: category of an interest to explain, names joined by '>'.")
    ] = "",
    trait: Annotated[str, typer.Option(help="Without --item: name of a trait to explain.")] = "",
    query: Query = "",
    catalogue: Catalogue = "",
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Explain a score or a profile: the effect of each event, and of each word of the item's title."""
    from rich.console import Console

    from portrait.client import outputs, tables

    if len([each for each in (item, interest, trait) if each]) > 1:
        raise typer.BadParameter("give only one of --item, --interest and --trait", param_hint="--item")
    if (query or catalogue) and not item:
        raise typer.BadParameter("--query and --catalogue need --item", param_hint="--item")
    path = split_category(interest) if interest else []
    explanation: RankingExplanation | ProfileExplanation
    if item:
        explanation = client.explain_recommendation(shopper_id, item, catalogue=catalogue, query=query, as_of=as_of)
    else:
        explanation = client.explain_profile(shopper_id, interest=path, trait=trait, as_of=as_of)
    if as_json:
        outputs.print_json(explanation)
    else:
        tables.print_explanation(Console(), explanation, trait or tables.format_category(path))


def _make_filter(
    categories: list[str] | None,
    brands: list[str] | None,
    min_price: float | None,
    max_price: float | None,
    excluded: list[str] | None,
) -> "Filter":
    from portrait.client.results import Filter

    paths = [split_category(path) for path in categories or ()]
    return Filter(paths, brands or (), min_price, max_price, excluded or ())


@contextmanager
def _print_counts(counts: dict[str, int], as_json: bool) -> Iterator[None]:
    """Print the counts at the end, also if a failure stops the file: the rows before it are stored."""
    try:
        yield
    finally:
        typer.echo(json.dumps(counts) if as_json else ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if counts["rejected"]:
        raise typer.Exit(2)


def _print_rejected(name: str, lines: list[int], rejected: "tuple[Rejection, ...]") -> None:
    for line, each in zip(lines, rejected, strict=True):
        column = f", column {each.field!r}" if each.field else ""
        typer.echo(f"{name}, line {line}{column}: {each.message}", err=True)
