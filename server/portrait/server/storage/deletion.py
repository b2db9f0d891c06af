"""Removes all that is known of a shopper, also where the disk has no room for what removing writes."""

import contextlib
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.storage.disk_reserve import DiskReserve
from portrait.server.storage.event_writes import LAST_ARRIVAL
from portrait.server.storage.links import delete_links, list_linked_ids
from portrait.server.storage.queries import expand_placeholders, transaction
from portrait.server.storage.store import Forgotten
from portrait.server.storage.tombstone_keys import note_tombstone_keys
from portrait.server.timestamps import from_microseconds, to_microseconds

_LATEST_EVENT = "SELECT max(time) FROM events WHERE shopper_id = ?"
_TOMBSTONE = "SELECT max(forgotten_at) FROM tombstones WHERE shopper_sha256 IN ({})"
_DELETE_TOMBSTONES = "DELETE FROM tombstones WHERE shopper_sha256 IN ({})"
_SET_TOMBSTONE = (
    "REPLACE INTO tombstones (shopper_sha256, forgotten_at, arrival) "  # noqa: S608 - of a module
    f"VALUES (?, ?, ({LAST_ARRIVAL}))"
)
_TABLES = ("consent_records", "consents", "demographics", "reviews", "review_changes", "household_members")
"""All that is known of shoppers beside events and links."""
_DELETE_SOME_EVENTS = "DELETE FROM events WHERE arrival IN (SELECT arrival FROM events WHERE shopper_id = ? LIMIT ?)"
_EVENTS_AT_A_TIME = 64
"""Removing them writes less than 1 MiB: of each a page of the table and of two indexes, at worst."""
_PAGES_AT_A_TIME = 256
_MAX_REWRITTEN_BYTES = 8 << 20


def forget_shopper(connection: sqlite3.Connection, shopper_id: str, now: datetime, hasher: ShopperHasher) -> Forgotten:
    """Remove a shopper, under all linked ids, within a transaction that runs.

    Events up to the moment are refused from now on. The moment is `now`, or the latest that was told of the id: an
    event may be dated ahead of our clock, and its repetition must not bring the shopper back.
    """
    shopper_ids = list_linked_ids(connection, shopper_id)
    moments = _set_tombstones(connection, shopper_ids, now, hasher)
    removed = sum(
        connection.execute("DELETE FROM events WHERE shopper_id = ?", (each,)).rowcount for each in shopper_ids
    )
    _delete_the_rest(connection, shopper_ids)
    return Forgotten(removed, moments[shopper_id])


def forget_on_full_disk(
    connection: sqlite3.Connection, reserve: DiskReserve, shopper_id: str, now: datetime, hasher: ShopperHasher
) -> Forgotten:
    """Remove a shopper, under all linked ids, in small steps, in the room that was kept for this.

    The tombstones come first, so that nothing is added meanwhile; what they allow and withdrew, and what links the ids,
    comes last, so that it still counts where the room ends before.

    Raises:
        sqlite3.Error: there is not even room for a step; those that were done stay done.
    """
    reserve.release()
    removed = 0
    _restart_log(connection)
    with transaction(connection):
        shopper_ids = list_linked_ids(connection, shopper_id)
        moments = _set_tombstones(connection, shopper_ids, now, hasher)
    for each in shopper_ids:
        step = _EVENTS_AT_A_TIME
        while step == _EVENTS_AT_A_TIME:
            with transaction(connection):
                step = connection.execute(_DELETE_SOME_EVENTS, (each, _EVENTS_AT_A_TIME)).rowcount
            removed += step
            _restart_log(connection)
    with transaction(connection):
        _delete_the_rest(connection, shopper_ids)
    return Forgotten(removed, moments[shopper_id])


def rewrite_file(connection: sqlite3.Connection) -> bool:
    """Write a small file anew; returns whether it was small.

    SQLite overwrites what is deleted, but where pages were split or joined it leaves copies of rows in the unused part
    of pages. Only writing the file anew removes those; for a large one, others would wait too long.
    """
    if _number(connection, "page_count") * _number(connection, "page_size") > _MAX_REWRITTEN_BYTES:
        return False
    connection.execute("PRAGMA temp_store = MEMORY")  # no copy of it in a folder for temporary files
    connection.execute("VACUUM")
    return True


def return_pages(connection: sqlite3.Connection) -> bool:
    """Give some freed pages back to the disk; returns whether there are more."""
    before = _number(connection, "freelist_count")
    if before:
        # As a script: `execute` ends after the first page, as the statement has no rows.
        connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_A_TIME})")
    return 0 < _number(connection, "freelist_count") < before


def truncate_log(connection: sqlite3.Connection) -> None:
    """Let the write-ahead log begin anew: what was deleted is overwritten in the file, but still stands there.

    Where somebody reads the log for long, such as a backup, it is overwritten later, when it has grown to its usual
    size: others who write do not wait for that.
    """
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _set_tombstones(
    connection: sqlite3.Connection, shopper_ids: Sequence[str], now: datetime, hasher: ShopperHasher
) -> dict[str, datetime]:
    """Refuse what is dated up to a moment from now on; returns the moment of each id."""
    if hasher.current is not None:
        note_tombstone_keys(connection, [hasher.current])
    return {each: _set_tombstone(connection, each, now, hasher.list_hashes(each)) for each in shopper_ids}


def _set_tombstone(connection: sqlite3.Connection, shopper_id: str, now: datetime, hashes: Sequence[str]) -> datetime:
    """Set the tombstone of one id, in place of those by older keys. The events tell its moment before they go."""
    told = [
        connection.execute(query, values).fetchone()[0]
        for query, values in ((_LATEST_EVENT, (shopper_id,)), expand_placeholders(_TOMBSTONE, hashes))
    ]
    forgotten_at = max(to_microseconds(now), *(each for each in told if each is not None), 0)
    connection.execute(_SET_TOMBSTONE, (hashes[0], forgotten_at))
    if len(hashes) > 1:  # after the new one, which has the highest number of arrival from them
        connection.execute(*expand_placeholders(_DELETE_TOMBSTONES, hashes[1:]))
    return from_microseconds(forgotten_at)


def _delete_the_rest(connection: sqlite3.Connection, shopper_ids: Sequence[str]) -> None:
    for shopper_id in shopper_ids:
        for table in _TABLES:
            connection.execute(f"DELETE FROM {table} WHERE shopper_id = ?", (shopper_id,))  # noqa: S608 - of a module
        delete_links(connection, shopper_id)


def _restart_log(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # the next transaction tells whether there is room
        truncate_log(connection)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
