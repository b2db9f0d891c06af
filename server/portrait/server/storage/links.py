"""Links in the state file: who is whose anonymous id, and when that last changed."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.consent.consents import Decisions, Purpose
from portrait.server.identities import MAX_LINKS, Identity, Link, LinkOutcome
from portrait.server.storage.event_writes import LAST_ARRIVAL
from portrait.server.storage.queries import expand_placeholders, split_ids
from portrait.server.storage.reader import Reader
from portrait.server.storage.rows import LINK_COLUMNS, link_of, link_row

_LOGIN_OF = "SELECT login_id FROM links WHERE shopper_id = ?"
_COUNT_LINKS = "SELECT count(*) FROM links WHERE login_id = ? AND shopper_id <> ?"
_IS_MEMBER = "SELECT 1 FROM household_members WHERE shopper_id = ?"
_FORGOTTEN_AT = "SELECT forgotten_at FROM tombstones WHERE shopper_sha256 IN ({})"
_LINK = f"REPLACE INTO links (login_id, {', '.join(LINK_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - own names
_UNLINK = "DELETE FROM links WHERE shopper_id = ? AND login_id = ?"
_DELETE_LINKS = "DELETE FROM links WHERE shopper_id = ?1 OR login_id = ?1"
_NOTE_CHANGE = f"REPLACE INTO identity_changes VALUES (?, ({LAST_ARRIVAL}) + 1)"  # noqa: S608 - of a module
_IDENTITIES = (
    "WITH asked(id) AS (VALUES {}) "  # noqa: S608 - own names
    f"SELECT login_id, {', '.join(LINK_COLUMNS)} FROM links WHERE login_id IN ("
    "SELECT id FROM asked UNION ALL SELECT login_id FROM links WHERE shopper_id IN (SELECT id FROM asked)"
    ") ORDER BY login_id, shopper_id"
)
_FIRST_LINK = "SELECT 1 FROM links LIMIT 1"
_LAST_CHANGE = "SELECT coalesce(max(arrival), 0) FROM identity_changes"
_RELINKED = "SELECT shopper_id FROM identity_changes WHERE arrival > ? AND shopper_id IN ({})"
_CONSENTS = (
    "WITH login(id) AS (SELECT coalesce((SELECT login_id FROM links WHERE shopper_id = ?1), ?1)), "
    "one(id, is_linked) AS (SELECT id, 0 FROM login "
    "UNION ALL SELECT shopper_id, 1 FROM links WHERE login_id = (SELECT id FROM login)) "
    "SELECT id, purpose, granted FROM one LEFT JOIN consents ON shopper_id = id ORDER BY is_linked, id"
)
"""At least a row for each id, the login first."""


def link(connection: sqlite3.Connection, login_id: str, new: Link, hasher: ShopperHasher) -> LinkOutcome:
    """Link an anonymous id to a login, in a transaction that runs."""
    row = link_row(new)
    refusal = _find_refusal(connection, login_id, row, hasher)
    if refusal is not None:
        return refusal
    connection.execute(_LINK, (login_id, *row))
    _note_change(connection, (login_id, new.anonymous_id))
    return LinkOutcome.LINKED


def unlink(connection: sqlite3.Connection, login_id: str, anonymous_id: str) -> None:
    """Remove a link, if there is one, in a transaction that runs."""
    if connection.execute(_UNLINK, (anonymous_id, login_id)).rowcount:
        _note_change(connection, (login_id, anonymous_id))


def delete_links(connection: sqlite3.Connection, shopper_id: str) -> None:
    """Remove all links of an id that is forgotten, in a transaction that runs."""
    connection.execute(_DELETE_LINKS, (shopper_id,))
    connection.execute("DELETE FROM identity_changes WHERE shopper_id = ?", (shopper_id,))


def find_login(connection: sqlite3.Connection, shopper_id: str) -> str | None:
    """Find the login to which an id is linked; None if it is linked to none."""
    row = connection.execute(_LOGIN_OF, (shopper_id,)).fetchone()
    return row and str(row[0])


def is_forgotten(connection: sqlite3.Connection, shopper_id: str, time: int, hasher: ShopperHasher) -> bool:
    """Tell whether an id was forgotten at a time, in microseconds since 1970, or later."""
    query, hashes = expand_placeholders(_FORGOTTEN_AT, hasher.list_hashes(shopper_id))
    return any(time <= forgotten_at for (forgotten_at,) in connection.execute(query, hashes))


def list_linked_ids(connection: sqlite3.Connection, shopper_id: str) -> tuple[str, ...]:
    """List all ids of a shopper, the login first."""
    rows = connection.execute(_IDENTITIES.format("(?)"), (shopper_id,)).fetchall()
    return (rows[0][0], *(row[1] for row in rows)) if rows else (shopper_id,)


class LinkReads:
    """Reads links; see `Store` for what the methods do.

    Args:
        reader: of the state file.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def identities(self, shopper_ids: Sequence[str]) -> dict[str, Identity]:
        """The identities of those of any number of shoppers who have links."""
        found: dict[str, Identity] = {}
        if len(shopper_ids) > 1 and not await self._reader.fetch_few_rows(_FIRST_LINK):
            return found
        for part in split_ids(shopper_ids):
            query, values = expand_placeholders(_IDENTITIES, part, "(?)")
            fetch = self._reader.fetch_few_rows if len(part) == 1 else self._reader.fetch_rows
            by_id = {each: identity for identity in _group(await fetch(query, values)) for each in identity.shopper_ids}
            found.update((each, by_id[each]) for each in part if each in by_id)
        return found

    async def relinked_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers of whom a link was made or undone after a time."""
        found: set[str] = set()
        [[last]] = await self._reader.fetch_few_rows(_LAST_CHANGE)
        if last <= after:
            return found
        for part in split_ids(shopper_ids):
            query, values = expand_placeholders(_RELINKED, part)
            found.update(shopper_id for (shopper_id,) in await self._reader.fetch_rows(query, (after, *values)))
        return found

    async def consents(self, shopper_id: str) -> Decisions:
        """All ids of a shopper, and the strictest decision on each purpose."""
        by_id: dict[str, dict[Purpose, bool]] = {}
        for each, purpose, granted in await self._reader.fetch_few_rows(_CONSENTS, (shopper_id,)):
            said = by_id.setdefault(each, {})
            if purpose is not None:
                said[Purpose(purpose)] = bool(granted)
        return Decisions.combine(by_id)


def _find_refusal(
    connection: sqlite3.Connection, login_id: str, row: Sequence[Any], hasher: ShopperHasher
) -> LinkOutcome | None:
    """Find out why an anonymous id can't be linked; None if it can."""
    anonymous_id, time, *_ = row
    if find_login(connection, login_id) is not None:
        return LinkOutcome.LOGIN_LINKED
    if find_login(connection, anonymous_id) not in (None, login_id):
        return LinkOutcome.TAKEN
    links, of_anonymous = (
        connection.execute(_COUNT_LINKS, (each, anonymous_id)).fetchone()[0] for each in (login_id, anonymous_id)
    )
    if of_anonymous:
        return LinkOutcome.HAS_LINKS
    if connection.execute(_IS_MEMBER, (anonymous_id,)).fetchone():
        return LinkOutcome.MEMBER
    if links >= MAX_LINKS:
        return LinkOutcome.FULL
    if any(is_forgotten(connection, each, time, hasher) for each in (login_id, anonymous_id)):
        return LinkOutcome.FORGOTTEN
    return None


def _note_change(connection: sqlite3.Connection, shopper_ids: Iterable[str]) -> None:
    for shopper_id in shopper_ids:
        connection.execute(_NOTE_CHANGE, (shopper_id,))


def _group(rows: Iterable[Sequence[Any]]) -> list[Identity]:
    """Identities of rows of a login and a link each."""
    links: dict[str, list[Link]] = {}
    for login_id, *row in rows:
        links.setdefault(login_id, []).append(link_of(row))
    return [Identity(login_id, tuple(of_login)) for login_id, of_login in links.items()]
