"""Addresses of the gateway: parsing of settings, addresses to bind, and addresses that clients use."""

import contextlib
import ipaddress
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

UNIX_SCHEME = "unix:"
"""Prefix of the address of a Unix socket; the path of the socket file follows."""

_MAX_UNIX_PATH_BYTES = 107
"""Linux stores the path of a socket in 108 bytes, with a zero at the end."""
_UNIX_MODE = 0o660
_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")
_WITH_PORT = re.compile(r"(?:\[.*\]|[^:]*):\d+")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names of wildcards, nothing binds them
_FORMS = "an IP address such as 127.0.0.1, ::1 or [::1], or a host name"


def parse_host(value: str) -> str:
    """Parse an address to listen on: an IP address, a host name, or `unix:` with a path.

    Returns:
        the address: IPv6 without brackets, the path of a Unix socket made absolute.

    Raises:
        ValueError: the value is none of these; the message names the valid forms.
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
    """Parse an address to listen on: an IP address or a host name.

    Returns:
        the address; IPv6 without brackets.

    Raises:
        ValueError: the value is neither; the message names the valid forms.
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
    """Return the address to bind, in the form that gRPC reads.

    Args:
        host: as `parse_host` returns it.
        port: the TCP port; ignored for a Unix socket.
    """
    if host.startswith(UNIX_SCHEME):
        return UNIX_SCHEME + quote(host.removeprefix(UNIX_SCHEME))  # gRPC parses it as a URI
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def client_address(host: str, port: int) -> str:
    """Return the address at which a program on this machine reaches a server that listens on `host`."""
    return bind_address(_WILDCARDS.get(host, host), port)


def metrics_url(host: str, port: int) -> str:
    """Return the URL at which a program on this machine reads the metrics."""
    return f"http://{client_address(host, port)}/metrics"


def is_local(host: str) -> bool:
    """Tell whether only programs on this machine can reach a server that listens on `host`.

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
    """Require that an address belongs to this machine.

    Args:
        setting: the name of the setting, for the message.
        host: as `parse_host` returns it.

    Raises:
        OSError: the host can't be resolved, or belongs to another machine; the message names the setting.
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
    """Add the address to an OSError of the block: the system's own message lacks it."""
    try:
        yield
    except OSError as error:
        raise OSError(f"can't listen on {bind_address(host, port)}: {error.strerror}") from error


def claim_unix_socket(host: str) -> None:
    """Remove the socket file that a killed process has left; gRPC alone would also remove one that is in use.

    Raises:
        OSError: a process listens on it, another kind of file has its path, or the folder is missing.
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
    """Let only the owner and the group of a socket file connect; its folder may restrict access further."""
    Path(host.removeprefix(UNIX_SCHEME)).chmod(_UNIX_MODE)
