"""Environment variables `PORTRAIT_…`: those that are settings, and those that Kubernetes or a mistake has set."""

import difflib
import re
from collections.abc import Collection, Mapping

PREFIX = "PORTRAIT_"
_OTHERS = {"PORTRAIT_ADDRESS", "PORTRAIT_TEST_DATA", "PORTRAIT_TOKEN_FILE"}
"""Variables that other parts of Portrait read: the client and the tests."""

# Kubernetes (`enableServiceLinks`) and Docker (`--link`) describe services to a container in such variables. A service
# named `portrait` sets PORTRAIT_PORT=tcp://10.0.0.1:50051, and `portrait-metrics` sets PORTRAIT_METRICS_PORT.
_LINK_NAME = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.IGNORECASE
)
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://.*", re.IGNORECASE)
_LINK_ADVICE = "the address of a service, set by Kubernetes: enableServiceLinks: false keeps it away"


def is_service_link(name: str, value: object) -> bool:
    """Tell whether a variable or setting holds the address of a service instead of a port."""
    return name.lower().endswith("port") and isinstance(value, str) and bool(_LINK_VALUE.fullmatch(value.strip()))


def find_variable(setting: str, environment: Mapping[str, str]) -> str | None:
    """Find the variable that sets a setting, in any case of letters; None without one."""
    wanted = (PREFIX + setting).lower()
    return next((name for name in environment if name.lower() == wanted and environment[name]), None)


def ignored_variables(settings: Collection[str], environment: Mapping[str, str]) -> dict[str, str]:
    """List the variables that look like settings but are not read, with the reason; a reason never holds a value."""
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
    """Suggest a similar name for the end of a message; empty without one."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
