"""Options of every call: time limit, metadata and request id."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from portrait.client.arguments import check
from portrait.client.channels import caller_metadata
from portrait.client.enums import Priority

Metadata = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]
"""gRPC metadata: lower-case names with ASCII text, or names that end with `-bin` with bytes."""

Token = str | Callable[[], str]
"""A signed token (JWT), or a function that returns the one to use now: tokens expire."""

Pairs = tuple[tuple[str, str | bytes], ...]

MAX_TIMEOUT = 31_536_000.0
"""Seconds; a year."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_NAME = re.compile(r"[0-9a-z_.-]+")
_PRINTABLE = re.compile(r"[ -~]*")
_RESERVED_NAMES = {
    "x-request-id": "request_id",
    "x-caller": "caller of the client",
    "x-priority": "priority of the client",
}


class CallOptions(TypedDict, total=False):
    """Keyword arguments that every method of the clients takes."""

    timeout: float | None
    """Time limit in seconds, retries included; None for the client's default."""
    metadata: Metadata
    """Sent with this call; overrides the client's own metadata of the same name."""
    request_id: str
    """Id of the call in log lines and errors: 1 to 128 letters, digits, `._:-`. By default the gateway makes one."""


_HINTS: dict[str, Any] = {"timeout": float | None, "metadata": Metadata, "request_id": str}


@dataclass(frozen=True)
class ChosenOptions:
    """Options of one call, completed by the client's defaults."""

    timeout: float
    metadata: Pairs
    request_id: str


class ClientOptions:
    """Default options of all calls of one client.

    Args:
        timeout: time limit of a call in seconds.
        caller: name of the caller.
        priority: `batch` if nobody waits for the responses.
        metadata: sent with every call.
        token: the token that proves who calls, or a function that returns it, which runs before each call; empty for
            none.

    Raises:
        TypeError: an option has the wrong type.
        ValueError: an option has a value that can't be sent.
    """

    def __init__(self, timeout: float, caller: str, priority: Priority, metadata: Metadata, token: Token) -> None:
        check(caller, str, "caller")
        if not isinstance(token, str) and not callable(token):
            raise TypeError(f"token takes a str, or a function that returns one; not {type(token).__name__}")
        self._timeout = _seconds(timeout)
        self._caller = caller_metadata(caller, priority)
        self._metadata, self._token = _pairs(metadata), token

    def choose(self, options: CallOptions) -> ChosenOptions:
        """Complete the options of a call by the client's defaults.

        Raises:
            TypeError: an option does not exist, or has the wrong type.
            ValueError: an option has a value that can't be sent.
        """
        for name, value in options.items():
            if name not in _HINTS:
                raise TypeError(f"there is no argument {name!r}; every method takes {', '.join(_HINTS)} beside its own")
            check(value, _HINTS[name], name)
        timeout, request_id = options.get("timeout"), options.get("request_id", "")
        pairs = self._caller + self._metadata + self._authorization()
        if "metadata" in options:
            own = _pairs(options["metadata"])
            pairs = (*(pair for pair in pairs if pair[0] not in dict(own)), *own)
        if request_id:
            if not _REQUEST_ID.fullmatch(request_id):
                raise ValueError("request_id is 1 to 128 letters, digits, `._:-`")
            pairs = (*pairs, ("x-request-id", request_id))
        return ChosenOptions(self._timeout if timeout is None else _seconds(timeout), pairs, request_id)

    def _authorization(self) -> Pairs:
        token = self._token if isinstance(self._token, str) else self._token()
        if not token:
            return ()
        if not _PRINTABLE.fullmatch(token):
            raise ValueError("token takes printable ASCII")
        return (("authorization", f"Bearer {token}"),)


def _seconds(timeout: float) -> float:
    check(timeout, float, "timeout")
    seconds = float(timeout)
    if not math.isfinite(seconds) or not 0.0 < seconds <= MAX_TIMEOUT:
        raise ValueError(f"timeout takes seconds, more than 0 and at most {MAX_TIMEOUT:,.0f}")
    return seconds


def _pairs(metadata: Metadata) -> Pairs:
    check(metadata, Metadata, "metadata")
    pairs: Pairs = tuple(
        metadata.items() if isinstance(metadata, Mapping) else ((pair[0], pair[1]) for pair in metadata)
    )
    for name, value in pairs:
        if name in _RESERVED_NAMES:
            raise ValueError(f"metadata: {name} is set by the argument {_RESERVED_NAMES[name]}")
        if not _NAME.fullmatch(name) or name.startswith("grpc-"):
            raise ValueError(f"metadata: {name!r} is not a valid name: lower-case letters, digits, `_.-`; not `grpc-…`")
        if name.endswith("-bin") != isinstance(value, bytes):
            raise TypeError(f"metadata: {name} takes {'bytes' if name.endswith('-bin') else 'a str'}")
        if isinstance(value, str) and not _PRINTABLE.fullmatch(value):
            raise ValueError(f"metadata: {name} takes printable ASCII; for other text use a name with `-bin` and bytes")
    return pairs
