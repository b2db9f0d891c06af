"""The commands `portrait review set`, `remove`, `list` and `queue`."""

import functools
import inspect
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portrait.client.connection import Command, calling
from portrait.client.enums import ReviewAction, ReviewQueueKind
from portrait.client.privacy_commands import Reason, say
from portrait.client.shared_options import AsJson, Catalogue, split_category

if TYPE_CHECKING:
    from portrait.client.reviews import ReviewTarget
    from portrait.client.sync import Client

_LIST_TIMEOUT = 30.0
_QUEUE_TIMEOUT = 60.0
"""The first call after a new audience table looks at all of its rows."""

review = typer.Typer(
    no_args_is_help=True,
    help="Block, correct, pin or keep an interest, a trait, an item or a rule, and list what wants a review.",
)

Shopper = Annotated[str, typer.Option(help="Only for the shopper with this id.")]


def _build_target(
    interest: Annotated[str, typer.Option(help="Category of an interest, names joined by '>'.")] = "",
    trait: Annotated[str, typer.Option(help="Name of a trait.")] = "",
    item: Annotated[str, typer.Option(help="Id of an item.")] = "",
    rule: Annotated[str, typer.Option(help="Name of a rule of the shop, which can only be blocked.")] = "",
    catalogue: Catalogue = "",
    shopper: Shopper = "",
    segment_category: Annotated[
        str, typer.Option(help="Only for shoppers with an event of an item in this category, names joined by '>'.")
    ] = "",
    segment_brand: Annotated[str, typer.Option(help="Only for shoppers with an event of an item of this brand.")] = "",
    all_shoppers: Annotated[bool, typer.Option("--all", help="For all shoppers.")] = False,
) -> "ReviewTarget":
    """Build a target of the options of a command."""
    from portrait.client.reviews import ReviewSegment, ReviewTarget

    if [bool(interest), bool(trait), bool(item), bool(rule)].count(True) != 1:
        raise typer.BadParameter("one of --interest, --trait, --item and --rule is needed", param_hint="--interest")
    if [bool(shopper), bool(segment_category or segment_brand), all_shoppers].count(True) != 1:
        raise typer.BadParameter("one of --shopper, --segment-… and --all is needed", param_hint="--shopper")
    path, category = (split_category(each) if each else [] for each in (interest, segment_category))
    segment = ReviewSegment(category, segment_brand) if category or segment_brand else None
    return ReviewTarget(path, trait, item, rule, catalogue, shopper, segment, all_shoppers)


def _targeting(command: Command) -> Command:
    """Replace the parameter `target` of a command by the options that say what is reviewed, and for whom."""
    options = inspect.signature(_build_target).parameters
    client, _, *rest = inspect.signature(command).parameters.values()
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*options.values(), *rest)]

    @functools.wraps(command)
    def with_options(client: "Client", **given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        command(client, _build_target(**chosen), **given)

    with_options.__signature__ = inspect.Signature([client, *parameters])  # type: ignore[attr-defined]
    return with_options


@review.command("set")
@calling()
@_targeting
def set_(
    client: "Client",
    target: "ReviewTarget",
    by: Annotated[str, typer.Option(help="Who decides; responses show it.")],
    block: Annotated[bool, typer.Option("--block", help="Do not state, show or use it.")] = False,
    correct: Annotated[
        float | None,
        typer.Option(help="Weight or probability in place of the stated one; nats to add to the score of an item."),
    ] = None,
    pin: Annotated[
        float | None, typer.Option(help="Weight or probability to state in any case; the place of an item.")
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="It is right: as without any review, unless one for more shoppers blocks it; with --all, no longer in "
            "the queue.",
        ),
    ] = False,
    note: Annotated[str, typer.Option(help="Why; kept with the review.")] = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Keep a review in place of that of the same target."""
    from portrait.client import outputs
    from portrait.client.reviews import Review

    actions = {
        ReviewAction.BLOCK: block or None,
        ReviewAction.CORRECT: correct,
        ReviewAction.PIN: pin,
        ReviewAction.KEEP: keep or None,
    }
    chosen = [action for action, value in actions.items() if value is not None]
    if len(chosen) != 1:
        raise typer.BadParameter("one of --block, --correct, --pin and --keep is needed", param_hint="--block")
    value = correct if pin is None else pin
    kept = client.set_review(Review(target, chosen[0], value, by, note), metadata=say(reason))
    if as_json:
        outputs.print_json(kept)
    else:
        typer.echo("kept")


@review.command()
@calling()
@_targeting
def remove(
    client: "Client",
    target: "ReviewTarget",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Remove the review of a target."""
    from portrait.client import outputs

    removed = client.remove_review(target, metadata=say(reason))
    if as_json:
        outputs.print_json({"removed": removed})
    else:
        typer.echo("removed" if removed else "there was none")


@review.command("list")
@calling(_LIST_TIMEOUT)
def list_(client: "Client", shopper: Shopper = "", as_json: AsJson = False) -> None:
    """Print reviews; with --json one a line, as `portrait prepare --reviews` reads them."""
    from rich.console import Console

    from portrait.client import outputs, review_tables

    parts = client.list_reviews(shopper)
    if as_json:
        for part in parts:
            for each in part:
                outputs.print_json(each)
    else:
        review_tables.print_reviews(Console(), [each for part in parts for each in part])


@review.command()
@calling(_QUEUE_TIMEOUT)
def queue(
    client: "Client",
    kind: Annotated[ReviewQueueKind | None, typer.Option(help="Only entries of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of entries.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an entry a line.")] = False,
) -> None:
    """Print what wants a review, what concerns most shoppers first, each with the command that blocks it for all."""
    from rich.console import Console

    from portrait.client import outputs, review_tables

    entries = review_tables.read_queue(client, kind, limit)
    if as_json:
        for each in entries:
            outputs.print_json({**asdict(each), "command": review_tables.format_command(each)})
    else:
        review_tables.print_queue(Console(), entries)
