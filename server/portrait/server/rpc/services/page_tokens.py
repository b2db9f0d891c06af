"""Page tokens: the place at which pages resume, and a fingerprint of what they answer.

Callers treat them as opaque. They are not signed: they hold no secret, and a forged one gives access to nothing more.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from typing import Any, NoReturn

from google.protobuf.message import Message

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.storage.event_lists import MAX_ARRIVAL, EventPlace

_LAYOUT = struct.Struct(">BIQQ8s")
"""Version, release, snapshot, row, question; big-endian."""
_VERSION = 1
_EVENT_LAYOUT = struct.Struct(">Bq8sQ8s")
"""Version, time, hash of the id, arrival, question; big-endian."""
_EVENT_VERSION = 2
_FIELD = "page_token"


@dataclass(frozen=True, slots=True)
class PageToken:
    """The row of an audience table, or the entry of its review queue, at which pages resume."""

    release: int
    snapshot: int
    """Id of the audience table."""
    row: int
    """The first row, or entry, of the next page."""
    question: bytes
    """`fingerprint` of the requested audience or queue."""

    def __str__(self) -> str:
        return _encode(_LAYOUT.pack(_VERSION, self.release, self.snapshot, self.row, self.question))

    @classmethod
    def read(cls, text: str, question: bytes, asked: str = "audience") -> "PageToken":
        """Parse the token of a request.

        Args:
            text: the token as the caller sent it.
            question: `fingerprint` of what is requested.
            asked: what that is, in a word.

        Raises:
            InvalidRequest: the token is malformed, or belongs to another request.
        """
        token = cls(*_decode(text, _LAYOUT, _VERSION))
        _require_same(token.question, question, asked)
        return token


@dataclass(frozen=True, slots=True)
class EventPageToken:
    """The place of the last event of a page in a list of events."""

    place: EventPlace
    question: bytes
    """`fingerprint` of the request for the list."""

    def __str__(self) -> str:
        place = self.place
        return _encode(_EVENT_LAYOUT.pack(_EVENT_VERSION, place.time, place.id_hash, place.arrival, self.question))

    @classmethod
    def read(cls, text: str, question: bytes) -> "EventPageToken":
        """Parse the token of a request.

        Args:
            text: the token as the caller sent it.
            question: `fingerprint` of the request.

        Raises:
            InvalidRequest: the token is malformed, or belongs to another list.
        """
        time, id_hash, arrival, of = _decode(text, _EVENT_LAYOUT, _EVENT_VERSION)
        _require_same(of, question, "list")
        if arrival > MAX_ARRIVAL or abs(time) > MAX_ARRIVAL:
            _refuse("is no token of an earlier answer")
        return cls(EventPlace(time, id_hash, arrival), of)


def _encode(packed: bytes) -> str:
    return base64.urlsafe_b64encode(packed).decode()


def _decode(text: str, layout: struct.Struct, version: int) -> list[Any]:
    """Return what is packed behind the version; raises InvalidRequest if it is no such token."""
    try:
        found, *rest = layout.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, struct.error):
        found, rest = 0, []
    if found != version:
        _refuse("is no token of an earlier answer")
    return rest


def _require_same(of: bytes, question: bytes, asked: str) -> None:
    if of != question:
        _refuse(f"is of another {asked}; send the one that it was given for")


def _refuse(reason: str) -> NoReturn:
    raise InvalidRequest([Violation(_FIELD, reason)], ErrorReason.PAGE_TOKEN_INVALID)


def fingerprint(question: Message) -> bytes:
    """Hash a message, 8 bytes; equal messages have equal hashes."""
    return hashlib.blake2b(question.SerializeToString(deterministic=True), digest_size=8).digest()
