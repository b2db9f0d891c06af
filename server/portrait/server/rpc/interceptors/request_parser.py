"""The parsing and validation of requests: a request that breaks the contract gets a status of ours."""

from collections.abc import Sequence
from functools import cached_property
from typing import cast

import numpy as np
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from portrait.features.generators import run_to_completion
from portrait.server.admission.charges import set_units
from portrait.server.admission.request_units import count_units
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.rpc.context import Context, Handler, Method, Request, Response
from portrait.server.rpc.contract.limits import MAX_REQUEST_ENTRIES
from portrait.server.rpc.contract.validation import validate
from portrait.server.runtime.cooperation import run_in_steps

LONG_BYTES = 1 << 14
"""A longer request is validated in a thread."""
_CONTROL = 0x20
"""Bytes below this one do not occur in texts, except line feeds."""
_UNREADABLE = "the bytes are no message of this method: truncated, of another type, or with text that is not UTF-8"


def parse_request(method: Method, call_next: Handler) -> Handler:
    """Parse the request unless the response cache has, charge the call for it, and check it against the limits.

    If grpc parsed the request itself, bytes that can't be parsed would end as INTERNAL.
    """
    if method.takes_stream:
        return call_next
    parser = Parser(method)

    async def handle(request: Request, context: Context) -> Response:
        message, size = parser.parse(request), len(request.wire)
        short = size <= LONG_BYTES
        if short:  # before the charge: a request that breaks a limit is invalid, not too expensive
            refuse_broken(run_to_completion(validate(message)))
        if (units := count_units(message, size)) is not None:
            await set_units(units)
        if not short:
            refuse_broken(await run_in_steps(validate(message)))
        return await call_next(message, context)

    return handle


class Parser:
    """Parses the requests of one method.

    Args:
        method: the method.
    """

    def __init__(self, method: Method) -> None:
        self._method = method

    @cached_property
    def _tags(self) -> list[int]:
        return _entry_tags(cast("Descriptor", self._method.parse(b"").DESCRIPTOR))

    def parse(self, request: Request, path: str = "") -> Message:
        """Parse a request.

        Args:
            request: the bytes.
            path: where the request stands in its stream; empty if it is the only one.

        Raises:
            InvalidRequest: the bytes are no message of the method, or one with too many entries.
        """
        if len(request.wire) > LONG_BYTES:
            _refuse_crowded(request.wire, self._tags, path)
        try:
            return request.message
        except DecodeError:
            raise InvalidRequest([Violation(path, _UNREADABLE)], ErrorReason.REQUEST_UNREADABLE) from None


def refuse_broken(violations: Sequence[Violation]) -> None:
    """Raise InvalidRequest if there are violations."""
    if violations:
        raise InvalidRequest(violations)


def _refuse_crowded(wire: bytes, tags: list[int], path: str) -> None:
    """Refuse a request whose parsing alone would delay all other calls.

    Each entry of a repeated field begins with the tag of its field, so there are at most as many entries as such bytes.
    """
    sent = np.frombuffer(wire, dtype=np.uint8)
    if sum(np.count_nonzero(sent == tag) for tag in tags) > MAX_REQUEST_ENTRIES:
        raise InvalidRequest(
            [Violation(path, f"the limit is {MAX_REQUEST_ENTRIES} entries in all")], ErrorReason.REQUEST_TOO_LARGE
        )


def _entry_tags(descriptor: Descriptor) -> list[int]:
    """Collect the tags of all repeated messages and texts within a message, except tags that occur in texts."""
    found: set[int] = set()
    seen: set[str] = set()
    unread = [descriptor]
    while unread:
        each = unread.pop()
        seen.add(each.full_name)
        for field in each.fields:
            if field.is_repeated and field.type in (field.TYPE_MESSAGE, field.TYPE_STRING):
                found.add(field.number << 3 | 2)
            if field.message_type is not None and field.message_type.full_name not in seen:
                unread.append(field.message_type)
    return [tag for tag in sorted(found) if tag < _CONTROL]
