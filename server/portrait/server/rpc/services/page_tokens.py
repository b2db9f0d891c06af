"""Page tokens: the audience, the audience table and the row at which a stream of pages resumes."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from google.protobuf.message import Message

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation

_LAYOUT = struct.Struct(">BIQQ8s")
"""Version, release, snapshot, row, question; big-endian."""
_VERSION = 1
_FIELD = "page_token"


@dataclass(frozen=True, slots=True)
class PageToken:
    """The position at which a stream resumes.

    Callers treat it as opaque. It is not signed: it holds no secret, and a forged one gives access to nothing more.
    """

    release: int
    snapshot: int
    """Id of the audience table."""
    row: int
    """The first row of the next page."""
    question: bytes
    """`fingerprint` of the requested audience."""

    def __str__(self) -> str:
        packed = _LAYOUT.pack(_VERSION, self.release, self.snapshot, self.row, self.question)
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def read(cls, text: str, question: bytes) -> "PageToken":
        """Parse the token of a request.

        Args:
            text: the token as the caller sent it.
            question: `fingerprint` of the requested audience.

        Raises:
            InvalidRequest: the token is malformed, or belongs to another audience.
        """
        try:
            version, *rest = _LAYOUT.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
        except (ValueError, binascii.Error, struct.error):
            version, rest = 0, []
        if version != _VERSION:
            raise InvalidRequest(
                [Violation(_FIELD, "is no token of an earlier answer")], ErrorReason.PAGE_TOKEN_INVALID
            )
        token = cls(*rest)
        if token.question != question:
            raise InvalidRequest(
                [Violation(_FIELD, "is of another audience; send the one that it was given for")],
                ErrorReason.PAGE_TOKEN_INVALID,
            )
        return token


def fingerprint(question: Message) -> bytes:
    """Hash a message, 8 bytes; equal messages have equal hashes."""
    return hashlib.blake2b(question.SerializeToString(deterministic=True), digest_size=8).digest()
