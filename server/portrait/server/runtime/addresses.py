"""Addresses to listen on: what a setting may say, what is bound, and what a caller is told."""

import contextlib
import ipaddress
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

UNIX_SCHEME = "unix:"
"""Begins the address of a Unix socket: the path of its file follows."""

_MAX_UNIX_PATH_BYTES = 107
"""Linux keeps the path of a socket in 108 bytes, of which the last is zero."""
_UNIX_MODE = 0o660
_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")
_WITH_PORT = re.compile(r"(?:\[.*\]|[^:]*):\d+")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what they are, not where we listen
_FORMS = "an IP address such as 127.0.0.1, ::1 or [::1], or a host name"


def parse_host(value: str) -> str:
    """Read where to listen: an IP address, a host name, or `unix:` with a path.

    Returns:
        an IPv6 address without its brackets; the path of a Unix socket made absolute.

    Raises:
        ValueError: it is none of these; the message says which form is wanted.
    """
    if not value.startswith(UNIX_SCHEME):
        return _parse_tcp_host(value, f"{_FORMS}, or unix:/path/of/a.socket")
    path = value.removeprefix(UNIX_SCHEME)
    if path.startswith("//"):
        path = path[2:]
        if not path.startswith("/"):
            raise ValueError("after unix:// an absolute path is wanted, as in unix:///run/portrait.sock")
    if not path or "\0" in path:
        raise ValueError("after unix: the path of a file is wanted, as in unix:/run/portrait.sock")
    absolute = str(Path(path).absolute())
    if len(absolute.encode()) > _MAX_UNIX_PATH_BYTES:
        raise ValueError(f"the path of a Unix socket has at most {_MAX_UNIX_PATH_BYTES} bytes")
    return UNIX_SCHEME + absolute


def parse_tcp_host(value: str) -> str:
    """Read where to listen: an IP address or a host name.

    Returns:
        an IPv6 address without its brackets.

    Raises:
        ValueError: it is neither; the message says which form is wanted.
    """
    if value.startswith(UNIX_SCHEME):
        raise ValueError(f"a Unix socket can't be used here; {_FORMS} is wanted")
    return _parse_tcp_host(value, _FORMS)


def _parse_tcp_host(value: str, forms: str) -> str:
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(value))
    if value.startswith("[") and value.endswith("]"):
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(value[1:-1]))
    if _WITH_PORT.fullmatch(value):
        raise ValueError(f"the port is a setting of its own; {forms} is wanted")
    if not _NAME.fullmatch(value):
        raise ValueError(f"{forms} is wanted")
    return value


def bind_address(host: str, port: int) -> str:
    """Address to bind, as gRPC reads it.

    Args:
        host: as `parse_host` returns it.
        port: nothing to a Unix socket.
    """
    if host.startswith(UNIX_SCHEME):
        return UNIX_SCHEME + quote(host.removeprefix(UNIX_SCHEME))  # gRPC takes it for a URI
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def client_address(host: str, port: int) -> str:
    """Address at which a program of this machine reaches what listens there."""
    return bind_address(_WILDCARDS.get(host, host), port)


def metrics_url(host: str, port: int) -> str:
    """URL at which a program of this machine reads the metrics."""
    return f"http://{client_address(host, port)}/metrics"


def is_local(host: str) -> bool:
    """Tell whether only programs of this machine reach what listens there.

    Args:
        host: as `parse_host` returns it.
    """
    if host.startswith(UNIX_SCHEME):
        return True
    try:
        found = {ipaddress.ip_address(host)}
    except ValueError:
        try:
            found = {ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in socket.getaddrinfo(host, None)}
        except OSError:
            return False
    return all(address.is_loopback for address in found)


def require_local_address(setting: str, host: str) -> None:
    """Require an address to be of this machine, before anything is started.

    Args:
        setting: which one says it.
        host: as `parse_host` returns it.

    Raises:
        OSError: it can't be resolved, or belongs to another machine; the message names the setting.
    """
    if host.startswith(UNIX_SCHEME):
        return
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError as error:
        raise OSError(f"{setting}: {host}: {error.strerror}") from error
    for family, _, _, _, address in found:
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.bind(address)
            return
    raise OSError(f"{setting}: {host}: it is no address of this machine")


@contextlib.contextmanager
def name_address_in_errors(host: str, port: int) -> Iterator[None]:
    """Say where one can't listen: the system's own message lacks it."""
    try:
        yield
    except OSError as error:
        raise OSError(f"can't listen on {bind_address(host, port)}: {error.strerror}") from error


def claim_unix_socket(host: str) -> None:
    """Remove the socket file that a killed process has left: gRPC itself would take one away that is in use.

    Raises:
        OSError: a process listens there, another file is in the way, or the folder is missing.
    """
    path = Path(host.removeprefix(UNIX_SCHEME))
    if not path.parent.is_dir():
        raise OSError(f"can't listen on {host}: the folder {path.parent} does not exist")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(f"can't listen on {host}: there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OSError(f"can't listen on {host}: {error.strerror}") from error
        else:
            raise OSError(f"can't listen on {host}: another process listens there")


def open_unix_socket_to_group(host: str) -> None:
    """Let the owner and the group of a socket file connect, and nobody else; its folder may allow less."""
    Path(host.removeprefix(UNIX_SCHEME)).chmod(_UNIX_MODE)
