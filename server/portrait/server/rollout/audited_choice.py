"""The audit of changes of the traffic: who had which release serve whom, and why."""

import contextlib
import dataclasses
import os
import pwd
import socket
from pathlib import Path

from portrait.server.audit.log import AuditError, AuditLog
from portrait.server.rollout.control import Control
from portrait.server.rollout.traffic import Traffic


@dataclasses.dataclass(frozen=True, slots=True)
class AuditNote:
    """Says where a change of the traffic is written down, and with what words."""

    file: Path
    command: str
    """For example `release promote`."""
    reason: str
    """May be empty."""


def choose_audited(control: Control, before: Traffic | None, wanted: Traffic, note: AuditNote | None) -> None:
    """Choose other traffic: with a line in the audit log before it and one after it, as calls have them.

    Args:
        control: writes the traffic.
        before: the traffic until now.
        wanted: the traffic from now on.
        note: None writes nothing down.

    Raises:
        AuditError: the log can't be written; nothing is changed.
        TrafficError, OSError, PortraitError, StoreError: as `Control.choose`.
    """
    if note is None:
        control.choose(wanted)
        return
    log = AuditLog(note.file)
    number = log.append(
        caller=_name_user(),
        method=note.command,
        place=control.place,
        before=None if before is None else dataclasses.asdict(before),
        wanted=dataclasses.asdict(wanted),
        reason=note.reason,
    )
    outcome = "INTERNAL"
    try:
        control.choose(wanted)
        outcome = "OK"
    except Exception as error:
        outcome = type(error).__name__
        raise
    finally:
        with contextlib.suppress(AuditError):  # the log still says that it was begun
            log.append(of=number, outcome=outcome)


def _name_user() -> str:
    """Name the user whose process this is, and the machine. No variable of the environment changes it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"user {name}@{socket.gethostname()}"
