"""The identity of a call: its priority and its caller."""

import re

from portrait.server.admission.gate import Priority
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.rpc.context import Context

PRIORITY, CALLER = "x-priority", "x-caller"
"""Metadata with which a caller gives the priority of a call, and its own name."""

_CALLER = re.compile(r"[A-Za-z0-9._:@/-]{1,128}")
_PORT = re.compile(r":\d+$")
_SUBJECTS = ("x509_subject", "x509_common_name")
_NAMES = ("x509_common_name", "x509_subject_alternative_name")


def read_identity(context: Context) -> tuple[Priority, str]:
    """Read the priority of a call, and the name of its caller: by certificate, else by metadata, else by address.

    Raises:
        InvalidRequest: the metadata breaks its limits.
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
    return priority, _certificate_subject(context) or (f"name {caller}" if caller else _peer_address(context))


def verified_caller(context: Context) -> str:
    """Name the caller as far as it can't be invented: by its certificate, else by its address."""
    return _certificate_subject(context) or _peer_address(context)


def _certificate_subject(context: Context) -> str:
    """Return the subject of the caller's certificate; empty without one."""
    properties = context.auth_context()
    for subject in _SUBJECTS:
        for name in properties.get(subject, ()):
            return f"certificate {name.decode(errors='replace')}"
    return ""


def read_certificate_names(context: Context) -> list[str]:
    """Read the names in the caller's certificate: its common name, then its alternative names; none without one."""
    properties = context.auth_context()
    return [name.decode(errors="replace") for kind in _NAMES for name in properties.get(kind, ())]


def _peer_address(context: Context) -> str:
    """Return the caller's address without its port; "anonymous" where a call has none."""
    peer: str = context.peer() or ""
    return f"peer {_PORT.sub('', peer)}" if peer.startswith(("ipv4:", "ipv6:")) else "anonymous"
