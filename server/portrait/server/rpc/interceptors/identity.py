"""How urgent a call is, and whose."""

import re

from portrait.server.admission.gate import Priority
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.rpc.context import Context

PRIORITY, CALLER = "x-priority", "x-caller"
"""Metadata by which a caller says how urgent a call is, and who it is."""

_CALLER = re.compile(r"[A-Za-z0-9._:@/-]{1,128}")
_PORT = re.compile(r":\d+$")
_SUBJECTS = ("x509_subject", "x509_common_name")


def read_identity(context: Context) -> tuple[Priority, str]:
    """Priority of a call, and name of who makes it.

    Raises:
        InvalidRequest: the metadata that says so is not what it may be.
    """
    priority, caller = Priority.INTERACTIVE, ""
    for key, value in context.invocation_metadata() or ():
        if key == PRIORITY:
            if value not in tuple(Priority):
                raise InvalidRequest(
                    [Violation(PRIORITY, f"metadata; the limit is {' or '.join(Priority)}")],
                    ErrorReason.METADATA_INVALID,
                )
            priority = Priority(value)
        elif key == CALLER:
            if not isinstance(value, str) or not _CALLER.fullmatch(value):
                raise InvalidRequest(
                    [Violation(CALLER, "metadata; the limit is 1 to 128 letters, digits, `._:@/-`")],
                    ErrorReason.METADATA_INVALID,
                )
            caller = value
    return priority, _certified(context) or (f"name {caller}" if caller else _peer(context))


def verified_caller(context: Context) -> str:
    """Name of who makes a call, as far as it can't be made up: of its certificate, else of its address."""
    return _certified(context) or _peer(context)


def _certified(context: Context) -> str:
    """Subject of the caller's certificate, which it can't make up; empty without one."""
    said = context.auth_context()
    for subject in _SUBJECTS:
        for name in said.get(subject, ()):
            return f"certificate {name.decode(errors='replace')}"
    return ""


def _peer(context: Context) -> str:
    """The caller's address without its port; "anonymous" where a call has none."""
    peer: str = context.peer() or ""
    return f"peer {_PORT.sub('', peer)}" if peer.startswith(("ipv4:", "ipv6:")) else "anonymous"
