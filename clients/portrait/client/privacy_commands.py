"""Commands about a shopper's rights: consents, declared demographics, lists, export and deletion."""

import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from portrait.client.connection import calling
from portrait.client.enums import EventType, Purpose
from portrait.client.options import Metadata
from portrait.client.shared_options import AsJson, ShopperId, in_utc

if TYPE_CHECKING:
    from portrait.client.sync import Client

_EXPORT_TIMEOUT = 30.0

Reason = Annotated[str, typer.Option(help="Why, for the gateway's audit log: up to 200 ASCII characters.")]


@calling()
def consent(
    client: "Client",
    shopper_id: ShopperId,
    grant: Annotated[
        list[Purpose] | None, typer.Option(help="Purpose to which the shopper consents; may be repeated.")
    ] = None,
    withdraw: Annotated[
        list[Purpose] | None, typer.Option(help="Purpose whose consent they withdraw; may be repeated.")
    ] = None,
    time: Annotated[
        datetime | None, typer.Option(callback=in_utc, help="Time of the decision, UTC. Default: now.")
    ] = None,
    notice: Annotated[str, typer.Option(help="Name or version of the consent text.")] = "",
    source: Annotated[str, typer.Option(help="Place of the decision, for example a cookie banner.")] = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Record a shopper's consents; without --grant and --withdraw, print permissions and decisions."""
    from rich.console import Console

    from portrait.client import outputs, tables
    from portrait.client.results import Consent

    decisions = [*((purpose, True) for purpose in grant or ()), *((purpose, False) for purpose in withdraw or ())]
    if len({purpose for purpose, _ in decisions}) < len(decisions):
        raise typer.BadParameter("a purpose is given twice", param_hint="--withdraw")
    if not decisions and (time or notice or source):
        raise typer.BadParameter("--time, --notice and --source need --grant or --withdraw", param_hint="--grant")
    if decisions:
        consents = [Consent(purpose, granted, time, notice, source) for purpose, granted in decisions]
        client.set_consents(shopper_id, consents, metadata=say(reason))
    found = client.get_consents(shopper_id)
    if as_json:
        outputs.print_json(found)
    else:
        tables.print_consents(Console(), found)


@calling()
def set_demographics(
    client: "Client",
    shopper_id: ShopperId,
    age: Annotated[int | None, typer.Option(help="Age in years; only its band is stored.")] = None,
    gender: Annotated[str, typer.Option(help="Gender as the shopper states it.")] = "",
    region: Annotated[str, typer.Option(help="A state or a larger region.")] = "",
    source: Annotated[str, typer.Option(help="Place of the declaration, for example an account form.")] = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Replace the demographics that a shopper has declared."""
    from rich.console import Console

    from portrait.client import outputs, tables

    declared = client.set_demographics(
        shopper_id, age=age, gender=gender, region=region, source=source, metadata=say(reason)
    )
    if as_json:
        outputs.print_json(declared)
    else:
        tables.print_demographics(Console(), declared)


@calling()
def identity(
    client: "Client",
    shopper_id: ShopperId,
    link: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Anonymous id to link to SHOPPER_ID, a login; may be repeated."),
    ] = None,
    unlink: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Anonymous id whose link to undo; may be repeated.")
    ] = None,
    join: Annotated[
        str | None, typer.Option(metavar="HOUSEHOLD", help="Household of which SHOPPER_ID, a login, becomes a member.")
    ] = None,
    leave: Annotated[
        str | None, typer.Option(metavar="HOUSEHOLD", help="Household of which SHOPPER_ID is no member any more.")
    ] = None,
    source: Annotated[
        str,
        typer.Option(help="The event that showed that the ids are of one shopper, or the shopper of the household."),
    ] = "",
    confidence: Annotated[float, typer.Option(help="Probability that they are; kept and shown.")] = 1.0,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Change the links of a login, or its household; without options, print all ids of a shopper and the household."""
    from rich.console import Console

    from portrait.client import identity_tables, outputs

    if bool(link or join is not None) != bool(source):
        raise typer.BadParameter("--source is needed by --link and --join, and by nothing else", param_hint="--source")
    is_changed = link or unlink or join is not None or leave is not None
    found = None if is_changed else client.get_identity(shopper_id)
    for each in unlink or ():
        found = client.unlink_shoppers(shopper_id, each, metadata=say(reason))
    for each in link or ():
        found = client.link_shoppers(shopper_id, each, source=source, confidence=confidence, metadata=say(reason))
    if leave is not None:
        found = client.leave_household(leave, shopper_id, metadata=say(reason))
    if join is not None:
        found = client.join_household(join, shopper_id, source=source, confidence=confidence, metadata=say(reason))
    if as_json:
        outputs.print_json(found)
    elif found is not None:
        identity_tables.print_identity(Console(), found)


@calling()
def household(
    client: "Client",
    household_id: Annotated[str, typer.Argument(help="Id of the household.")],
    as_json: AsJson = False,
) -> None:
    """Print the members of a household."""
    from rich.console import Console

    from portrait.client import identity_tables, outputs

    members = client.get_household(household_id)
    if as_json:
        outputs.print_json({"household_id": household_id, "members": [asdict(each) for each in members]})
    else:
        identity_tables.print_household(Console(), household_id, members)


@calling()
def events(
    client: "Client",
    shopper_id: ShopperId,
    event_type: Annotated[
        list[EventType] | None, typer.Option("--type", help="Only events of this type; may be repeated.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(callback=in_utc, help="Only events at this time or later, UTC.")
    ] = None,
    before: Annotated[datetime | None, typer.Option(callback=in_utc, help="Only events before this time, UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of events.")] = 100,
    reason: Reason = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an event a line.")] = False,
) -> None:
    """List a shopper's recorded events under all linked ids, the newest first."""
    from rich.console import Console

    from portrait.client import event_lists

    listed = event_lists.read_events(client, shopper_id, event_type or (), since, before, limit, say(reason))
    if as_json:
        event_lists.print_lines(listed)
    else:
        event_lists.print_table(Console(), listed)


@calling(_EXPORT_TIMEOUT)
def export_shopper(
    client: "Client",
    shopper_id: ShopperId,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the events only, as CSV that `portrait record` and `prepare` read.")
    ] = False,
    reason: Reason = "",
) -> None:
    """Print everything that is recorded of a shopper, as one JSON document."""
    from portrait.client import exports

    parts = client.export_shopper(shopper_id, metadata=say(reason))
    if as_csv:
        exports.write_csv(shopper_id, parts, sys.stdout)
    else:
        exports.write_json(shopper_id, parts, sys.stdout)


@calling()
def forget(client: "Client", shopper_id: ShopperId, reason: Reason = "", as_json: AsJson = False) -> None:
    """Delete everything that is recorded of a shopper, for good. Earlier events that are sent again are rejected."""
    from portrait.client import outputs, tables

    forgotten = client.forget_shopper(shopper_id, metadata=say(reason))
    if as_json:
        outputs.print_json(forgotten)
    else:
        typer.echo(f"forgotten: {tables.format_count(forgotten.event_count, 'event')}, consents and demographics")


def say(reason: str) -> Metadata:
    """Return the metadata by which the audit log gets the reason."""
    return {"x-reason": reason} if reason else {}
