"""Page tokens: where an answer in pages is gone on with, in what, and for which question."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from google.protobuf.message import Message

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation

_LAYOUT = struct.Struct(">BIQQ8s")
_VERSION = 1
_FIELD = "page_token"


@dataclass(frozen=True, slots=True)
class PageToken:
    """Opaque to callers; nothing in it is secret, and a made-up one leads to no more than an honest one."""

    release: int
    snapshot: int
    row: int
    """The first row that was not looked at."""
    question: bytes
    """`fingerprint` of what was asked for."""

    def __str__(self) -> str:
        packed = _LAYOUT.pack(_VERSION, self.release, self.snapshot, self.row, self.question)
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def read(cls, text: str, question: bytes) -> "PageToken":
        """The token that a request brings.

        Args:
            text: as it was sent.
            question: `fingerprint` of what the request asks for.

        Raises:
            InvalidRequest: it is none of ours, or of another question.
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
    """Tells questions apart."""
    return hashlib.blake2b(question.SerializeToString(deterministic=True), digest_size=8).digest()
