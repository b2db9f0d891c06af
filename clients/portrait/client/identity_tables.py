"""Identities and households as tables for people."""

from collections.abc import Sequence

from rich.console import Console

from portrait.client.outputs import Rows, print_line
from portrait.client.results import Identity, Link, Membership


def print_identity(console: Console, identity: Identity) -> None:
    """Print all ids of a shopper, and the household."""
    table = Rows("", "id", "is", "source", "confidence", "found out at", "recorded at", ids=("id",))
    table.add(identity.shopper_id, "the login" if identity.links else "not linked", "", "", "", "")
    for link in identity.links:
        table.add(link.anonymous_id, "linked", *_list_evidence(link))
    if identity.household:
        table.add(identity.household.household_id, "the household", *_list_evidence(identity.household))
    table.print(console)


def print_household(console: Console, household_id: str, members: Sequence[Membership]) -> None:
    """Print the members of a household."""
    if not members:
        print_line(console, f"household {household_id}: nobody is a member", "dim")
        return
    table = Rows("", "id", "source", "confidence", "found out at", "recorded at", ids=("id",))
    for member in members:
        table.add(member.shopper_id, *_list_evidence(member))
    table.print(console)


def _list_evidence(found: Link | Membership) -> list[str]:
    times = (f"{each:%Y-%m-%d %H:%M:%S}" for each in (found.time, found.recorded_at))
    return [found.source, f"{found.confidence:.0%}", *times]
