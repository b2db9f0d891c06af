"""Households in the state file: who is a member of which."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.households import MAX_MEMBERS, JoinOutcome, Membership
from portrait.server.storage.links import find_login, is_forgotten
from portrait.server.storage.queries import expand_placeholders, split_ids
from portrait.server.storage.reader import Reader
from portrait.server.storage.rows import MEMBERSHIP_COLUMNS, membership_of, membership_row
from portrait.server.timestamps import to_microseconds

_COLUMNS = ", ".join(MEMBERSHIP_COLUMNS)
_JOIN = f"REPLACE INTO household_members ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - own names
_LEAVE = "DELETE FROM household_members WHERE shopper_id = ? AND household_id = ?"
_HOUSEHOLD_OF = "SELECT household_id FROM household_members WHERE shopper_id = ?"
_COUNT_OTHERS = "SELECT count(*) FROM household_members WHERE household_id = ? AND shopper_id <> ?"
_MEMBERS = f"SELECT {_COLUMNS} FROM household_members WHERE household_id = ? ORDER BY shopper_id"  # noqa: S608
_MEMBERSHIPS = f"SELECT {_COLUMNS} FROM household_members WHERE shopper_id IN ({{}})"  # noqa: S608


class FileHouseholds:
    """The households of a state file; see `Households`.

    Args:
        reader: of the state file.
        write: does something in a transaction.
        hasher: hashes the ids of forgotten shoppers.
    """

    def __init__(self, reader: Reader, write: Callable[..., Awaitable[Any]], hasher: ShopperHasher) -> None:
        self._reader, self._write, self._hasher = reader, write, hasher

    async def join(self, membership: Membership) -> JoinOutcome:
        """Make a shopper a member of a household."""
        outcome: JoinOutcome = await self._write(_join, membership, self._hasher)
        return outcome

    async def leave(self, household_id: str, shopper_id: str) -> None:
        """Remove a membership, if there is one."""
        await self._write(_leave, household_id, shopper_id)

    async def memberships(self, shopper_ids: Sequence[str]) -> dict[str, Membership]:
        """The memberships of those of any number of ids who have one."""
        found: dict[str, Membership] = {}
        for part in split_ids(shopper_ids):
            rows = await self._reader.fetch_rows(*expand_placeholders(_MEMBERSHIPS, part))
            found.update((each.shopper_id, each) for each in map(membership_of, rows))
        return found

    async def members(self, household_id: str) -> list[Membership]:
        """All memberships in a household."""
        return [membership_of(row) for row in await self._reader.fetch_rows(_MEMBERS, (household_id,))]


def _join(connection: sqlite3.Connection, new: Membership, hasher: ShopperHasher) -> JoinOutcome:
    """Make a shopper a member, in a transaction that runs."""
    shopper_id, household_id = new.shopper_id, new.household_id
    if find_login(connection, shopper_id) is not None:
        return JoinOutcome.LINKED
    if connection.execute(_HOUSEHOLD_OF, (shopper_id,)).fetchone() not in (None, (household_id,)):
        return JoinOutcome.TAKEN
    if is_forgotten(connection, shopper_id, to_microseconds(new.time), hasher):
        return JoinOutcome.FORGOTTEN
    [[others]] = connection.execute(_COUNT_OTHERS, (household_id, shopper_id)).fetchall()
    if others >= MAX_MEMBERS:
        return JoinOutcome.FULL
    connection.execute(_JOIN, membership_row(new))
    return JoinOutcome.JOINED


def _leave(connection: sqlite3.Connection, household_id: str, shopper_id: str) -> None:
    connection.execute(_LEAVE, (shopper_id, household_id))
