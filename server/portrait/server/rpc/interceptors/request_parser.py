"""Bytes become a request that keeps the contract: here, so that what breaks it gets a status of ours."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from portrait.features.generators import run_to_completion
from portrait.server.admission.charges import set_units
from portrait.server.admission.request_units import count_units
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.rpc.context import Context, Handler, Method, Response
from portrait.server.rpc.contract.limits import MAX_REQUEST_ENTRIES
from portrait.server.rpc.contract.validation import validate
from portrait.server.runtime.cooperation import run_in_steps

_LONG_BYTES = 1 << 14
"""A longer request is held against the limits in a thread."""
_CONTROL = 0x20
"""Tags below this byte do not stand in texts, but for line feeds."""


def parse_request(method: Method, proceed: Handler) -> Handler:
    """Parse the request, count it as what it asks for, and hold it against the limits.

    To grpc itself, bytes that can't be read are INTERNAL.
    """
    if method.takes_stream:
        return proceed
    tags: list[int] = []

    async def behaviour(request: bytes, context: Context) -> Response:
        if len(request) > _LONG_BYTES:
            tags[:] = tags or _entry_tags(cast("Descriptor", method.parse(b"").DESCRIPTOR))
            _refuse_crowded(request, tags)
        try:
            message = method.parse(request)
        except DecodeError:
            raise InvalidRequest([Violation("", _UNREADABLE)], ErrorReason.REQUEST_UNREADABLE) from None
        short = len(request) <= _LONG_BYTES
        if short:  # what breaks a limit is told so, not that it asks for too much
            _refuse_broken(run_to_completion(validate(message)))
        if (units := count_units(message, len(request))) is not None:
            await set_units(units)
        if not short:
            _refuse_broken(await run_in_steps(validate(message)))
        return await proceed(message, context)

    return behaviour


def _refuse_broken(violations: Sequence[Violation]) -> None:
    if violations:
        raise InvalidRequest(violations)


def _refuse_crowded(request: bytes, tags: list[int]) -> None:
    """Refuse a request whose parsing alone would hold up all other calls.

    Each entry of a repeated field begins with its field's tag: there are no more entries than such bytes.
    """
    sent = np.frombuffer(request, dtype=np.uint8)
    if sum(np.count_nonzero(sent == tag) for tag in tags) > MAX_REQUEST_ENTRIES:
        raise InvalidRequest(
            [Violation("", f"the limit is {MAX_REQUEST_ENTRIES} entries in all")], ErrorReason.REQUEST_TOO_LARGE
        )


def _entry_tags(descriptor: Descriptor) -> list[int]:
    """The tags of all repeated messages and texts within a message, as far as they are told from text."""
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


_UNREADABLE = "the bytes are no message of this method: truncated, of another type, or with text that is not UTF-8"
