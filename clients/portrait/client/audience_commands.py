"""The commands `portrait audience find` and `portrait audience estimate`."""

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portrait.client.connection import calling
from portrait.client.shared_options import AsJson, in_utc

if TYPE_CHECKING:
    from portrait.client.audiences import Criterion, LookAlike, TraitCriterion
    from portrait.client.sync import Client

_TIMEOUT = 60.0
_TOP = 1_000

audience = typer.Typer(
    no_args_is_help=True,
    help="Shoppers who meet all of what the options ask for; of an option that is repeated, one is enough.",
)


def _criteria(
    interest: Annotated[
        list[str] | None, typer.Option(help="A path of the taxonomy, names joined by '>'; may be repeated.")
    ] = None,
    min_weight: Annotated[float, typer.Option(help="Of --interest: least long-term weight, 0 to 1.")] = 0.0,
    label: Annotated[
        list[str] | None, typer.Option(help="Words of an interest that nobody trained for; may be repeated.")
    ] = None,
    min_percentile: Annotated[float, typer.Option(help="Of --label: share of shoppers less near, 0 to 1.")] = 0.9,
    trait: Annotated[
        list[str] | None, typer.Option(help="NAME=LEAST or NAME=LEAST..MOST; of several, all must be met.")
    ] = None,
    tier: Annotated[list[str] | None, typer.Option(help="low, middle, high or top; may be repeated.")] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="loyal, occasional, new, at_risk or dormant; may be repeated.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(callback=in_utc, help="Last event at this moment or later, UTC.")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(callback=in_utc, help="Last event before this moment, UTC.")
    ] = None,
    region: Annotated[list[str] | None, typer.Option(help="A declared region; may be repeated.")] = None,
    like: Annotated[
        Path | None, typer.Option(help="File of shopper ids, one a line: those who are like these shoppers.")
    ] = None,
    top: Annotated[int | None, typer.Option(help="Of --like: so many, the most similar. Default: 1000.")] = None,
    min_similarity: Annotated[float | None, typer.Option(help="Of --like: all so similar, -1 to 1.")] = None,
) -> "tuple[list[Criterion], LookAlike | None]":
    """Read what the options ask for."""
    from portrait.client.audiences import ActivityCriterion, CustomerValueCriterion, InterestCriterion, RegionCriterion

    criteria: list[Criterion] = []
    if interest:
        paths = [[part.strip() for part in path.split(">")] for path in interest]
        criteria.append(InterestCriterion(categories=paths, min_weight=min_weight))
    if label:
        criteria.append(InterestCriterion(labels=label, min_percentile=min_percentile))
    criteria += [_trait(each) for each in trait or ()]
    if tier or segment:
        criteria.append(CustomerValueCriterion(tier or (), segment or ()))
    if since or before:
        criteria.append(ActivityCriterion(since, before))
    if region:
        criteria.append(RegionCriterion(region))
    if not criteria and not like:
        raise typer.BadParameter("ask for something: --interest, --label, --trait, --tier, --since, --like …")
    return criteria, _look_alike(like, top, min_similarity) if like else None


def _look_alike(file: Path, top: int | None, min_similarity: float | None) -> "LookAlike":
    from portrait.client import files
    from portrait.client.audiences import LookAlike

    if top is not None and min_similarity is not None:
        raise typer.BadParameter("--top and --min-similarity do not go together")
    with file.open("rb") as lines:
        seed = [*files.read_texts(lines, str(file))]
    if min_similarity is not None:
        return LookAlike(seed, min_similarity=min_similarity)
    return LookAlike(seed, top=_TOP if top is None else top)


def _trait(written: str) -> "TraitCriterion":
    from portrait.client.audiences import TraitCriterion

    name, _, bounds = written.rpartition("=")
    least, _, most = bounds.partition("..")
    try:
        return TraitCriterion(name, float(least), float(most) if most else 1.0)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not NAME=LEAST or NAME=LEAST..MOST", param_hint="--trait") from None


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `(client, criteria, look_alike, **rest)` options in place of `criteria` and `look_alike`."""
    options = list(inspect.signature(_criteria).parameters.values())

    @functools.wraps(command)
    def asking(client: "Client", **given: Any) -> None:
        criteria, look_alike = _criteria(**{option.name: given.pop(option.name) for option in options})
        try:
            command(client, criteria, look_alike, **given)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    client, _, _, *rest = inspect.signature(command).parameters.values()
    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*options, *rest)]
    asking.__signature__ = inspect.Signature([client, *keyword_only])  # type: ignore[attr-defined]
    asking.__annotations__ = {each.name: each.annotation for each in (client, *keyword_only)}
    return asking


@audience.command()
@calling(_TIMEOUT)
@_asking
def find(
    client: "Client",
    criteria: "list[Criterion]",
    look_alike: "LookAlike | None",
    page_size: Annotated[int, typer.Option(help="Shoppers in a message, up to 10000; 0 means 1000.")] = 0,
    page_token: Annotated[str, typer.Option(help="Go on where a call ended that was cut short.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, with moments and similarities.")] = False,
) -> None:
    """Print the ids of the shoppers, one a line; how many, and how to go on after a failure, goes to stderr."""
    from portrait.client import outputs, tables

    told, token = False, page_token
    try:
        for page in client.find_audience(criteria, look_alike=look_alike, page_size=page_size, page_token=page_token):
            if not told:
                typer.echo(tables.audience_words(page.summary), err=True)
                told = True
            for member in page.members:
                typer.echo(outputs.to_json(member) if as_json else outputs.escape(member.shopper_id))
            token = page.next_page_token
    except Exception:
        if token:
            typer.echo(f"go on with --page-token {token}", err=True)
        raise


@audience.command()
@calling(_TIMEOUT)
@_asking
def estimate(
    client: "Client",
    criteria: "list[Criterion]",
    look_alike: "LookAlike | None",
    as_json: AsJson = False,
) -> None:
    """Print how many shoppers they are, about; no id."""
    from portrait.client import outputs, tables

    summary = client.estimate_audience(criteria, look_alike=look_alike)
    if as_json:
        outputs.print_json(summary)
    else:
        typer.echo(tables.audience_words(summary))
