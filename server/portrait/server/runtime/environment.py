"""The variables `PORTRAIT_…`: which are settings, and which Kubernetes or a mistake has put there."""

import difflib
import re
from collections.abc import Collection, Mapping

PREFIX = "PORTRAIT_"
_OTHERS = {"PORTRAIT_ADDRESS", "PORTRAIT_TEST_DATA"}
"""Variables that other programs of Portrait read: the client, and its tests."""

# Kubernetes (`enableServiceLinks`) and Docker (`--link`) tell a container of services by such variables. A service
# named `portrait` gives PORTRAIT_PORT=tcp://10.0.0.1:50051, one named `portrait-metrics` PORTRAIT_METRICS_PORT.
_LINK_NAME = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.IGNORECASE
)
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://.*", re.IGNORECASE)
_LINK_ADVICE = "the address of a service, set by Kubernetes: enableServiceLinks: false keeps it away"


def is_service_link(name: str, value: object) -> bool:
    """Say whether a variable or setting holds the address of a service instead of a port."""
    return name.lower().endswith("port") and isinstance(value, str) and bool(_LINK_VALUE.fullmatch(value.strip()))


def find_variable(setting: str, environment: Mapping[str, str]) -> str | None:
    """Name of the variable that sets a setting, as it is written; None if none does."""
    wanted = (PREFIX + setting).lower()
    return next((name for name in environment if name.lower() == wanted and environment[name]), None)


def ignored_variables(settings: Collection[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that look like settings and are not read, and why. Values are not in the reasons."""
    known = {PREFIX + setting.upper() for setting in settings}
    ignored = {}
    for name, value in environment.items():
        if not name.upper().startswith(PREFIX) or name.upper() in _OTHERS or _LINK_NAME.fullmatch(name):
            continue
        if name.upper() in known:
            if is_service_link(name, value):
                ignored[name] = _LINK_ADVICE
        elif not is_service_link(name, value):
            ignored[name] = f"no setting has this name{_suggest(name.upper(), known)}"
    return ignored


def _suggest(name: str, known: Collection[str]) -> str:
    """Suggest a similar name, for the end of a message; empty if there is none."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
