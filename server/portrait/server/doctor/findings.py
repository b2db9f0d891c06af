"""A finding: what was looked at, how it is, and what to do about it."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well, or not for long."""
    FAULT = "fault"
    """The gateway does not start, or does not do its work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    level: Level
    subject: str
    text: str
    """The state that was found and, if that is not good, what to do."""

    def of_tenant(self, tenant: str | None) -> "Finding":
        """Return the same, said of a tenant; None leaves it as it is."""
        return self if tenant is None else replace(self, subject=f"{tenant}: {self.subject}")
