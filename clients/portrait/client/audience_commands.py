"""The commands `portrait audience find` and `portrait audience estimate`."""

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portrait.client.connection import calling
from portrait.client.shared_options import AsJson, in_utc, split_category

if TYPE_CHECKING:
    from portrait.client.audiences import Criterion, LookAlike, TraitCriterion
    from portrait.client.sync import Client

_TIMEOUT = 60.0
_TOP = 1_000

audience = typer.Typer(
    no_args_is_help=True,
    help="Find or count the shoppers who meet all criteria. If an option is repeated, one of its values is enough.",
)


def _read_criteria(
    interest: Annotated[
        list[str] | None, typer.Option(help="Category of an interest, names joined by '>'; may be repeated.")
    ] = None,
    min_weight: Annotated[float, typer.Option(help="For --interest: minimum long-term weight, 0 to 1.")] = 0.0,
    label: Annotated[
        list[str] | None, typer.Option(help="Label in words for a zero-shot interest; may be repeated.")
    ] = None,
    min_percentile: Annotated[
        float, typer.Option(help="For --label: minimum percentile among all shoppers, 0 to 1.")
    ] = 0.9,
    trait: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MIN or NAME=MIN..MAX, a range of probability; if repeated, all must be met."),
    ] = None,
    tier: Annotated[list[str] | None, typer.Option(help="low, middle, high or top; may be repeated.")] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="loyal, occasional, new, at_risk or dormant; may be repeated.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(callback=in_utc, help="Last event at this time or later, UTC.")
    ] = None,
    before: Annotated[datetime | None, typer.Option(callback=in_utc, help="Last event before this time, UTC.")] = None,
    region: Annotated[list[str] | None, typer.Option(help="A declared region; may be repeated.")] = None,
    like: Annotated[
        Path | None, typer.Option(help="File of shopper ids, one per line: find shoppers who resemble them.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="For --like: number of the most similar shoppers. Default: 1000.")
    ] = None,
    min_similarity: Annotated[float | None, typer.Option(help="For --like: minimum similarity, -1 to 1.")] = None,
) -> "tuple[list[Criterion], LookAlike | None]":
    """Read the criteria and the seed from the options."""
    from portrait.client.audiences import ActivityCriterion, CustomerValueCriterion, InterestCriterion, RegionCriterion

    criteria: list[Criterion] = []
    if interest:
        paths = [split_category(path) for path in interest]
        criteria.append(InterestCriterion(categories=paths, min_weight=min_weight))
    if label:
        criteria.append(InterestCriterion(labels=label, min_percentile=min_percentile))
    criteria += [_read_trait(each) for each in trait or ()]
    if tier or segment:
        criteria.append(CustomerValueCriterion(tier or (), segment or ()))
    if since or before:
        criteria.append(ActivityCriterion(since, before))
    if region:
        criteria.append(RegionCriterion(region))
    if not criteria and not like:
        raise typer.BadParameter("give at least one criterion: --interest, --label, --trait, --tier, --since, --like …")
    return criteria, _read_look_alike(like, top, min_similarity) if like else None


def _read_look_alike(file: Path, top: int | None, min_similarity: float | None) -> "LookAlike":
    from portrait.client import files
    from portrait.client.audiences import LookAlike

    if top is not None and min_similarity is not None:
        raise typer.BadParameter("give only one of --top and --min-similarity")
    with file.open("rb") as lines:
        seed = [*files.read_texts(lines, str(file))]
    if min_similarity is not None:
        return LookAlike(seed, min_similarity=min_similarity)
    return LookAlike(seed, top=_TOP if top is None else top)


def _read_trait(written: str) -> "TraitCriterion":
    from portrait.client.audiences import TraitCriterion

    name, _, bounds = written.rpartition("=")
    low, _, high = bounds.partition("..")
    try:
        return TraitCriterion(name, float(low), float(high) if high else 1.0)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not NAME=MIN or NAME=MIN..MAX", param_hint="--trait") from None


def _with_criteria(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameters `criteria` and `look_alike` of a command by the options that define them."""
    options = list(inspect.signature(_read_criteria).parameters.values())

    @functools.wraps(command)
    def with_options(client: "Client", **given: Any) -> None:
        criteria, look_alike = _read_criteria(**{option.name: given.pop(option.name) for option in options})
        try:
            command(client, criteria, look_alike, **given)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    client, _, _, *rest = inspect.signature(command).parameters.values()
    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*options, *rest)]
    with_options.__signature__ = inspect.Signature([client, *keyword_only])  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in (client, *keyword_only)}
    return with_options


@audience.command()
@calling(_TIMEOUT)
@_with_criteria
def find(
    client: "Client",
    criteria: "list[Criterion]",
    look_alike: "LookAlike | None",
    page_size: Annotated[int, typer.Option(help="Shoppers per message, up to 10000; 0 means 1000.")] = 0,
    page_token: Annotated[str, typer.Option(help="Token that a failed call printed: continue there.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, with times and similarities.")] = False,
) -> None:
    """Print the ids of the shoppers, one per line; the size, and how to continue after a failure, go to stderr."""
    from portrait.client import outputs, tables

    is_described, token = False, page_token
    try:
        for page in client.find_audience(criteria, look_alike=look_alike, page_size=page_size, page_token=page_token):
            if not is_described:
                typer.echo(tables.describe_audience(page.summary), err=True)
                is_described = True
            for member in page.members:
                typer.echo(outputs.to_json(member) if as_json else outputs.escape(member.shopper_id))
            token = page.next_page_token
    except Exception:
        if token:
            typer.echo(f"continue with --page-token {token}", err=True)
        raise


@audience.command()
@calling(_TIMEOUT)
@_with_criteria
def estimate(
    client: "Client",
    criteria: "list[Criterion]",
    look_alike: "LookAlike | None",
    as_json: AsJson = False,
) -> None:
    """Print approximately how many shoppers meet the criteria, without ids."""
    from portrait.client import outputs, tables

    summary = client.estimate_audience(criteria, look_alike=look_alike)
    if as_json:
        outputs.print_json(summary)
    else:
        typer.echo(tables.describe_audience(summary))
