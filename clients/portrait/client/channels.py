"""Channels: addresses, TLS, the caller's name, and connection options."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from portrait.client.arguments import check
from portrait.client.enums import Priority

if TYPE_CHECKING:  # gRPC is slow to import, and the command line imports this module for its defaults
    import grpc

Option = tuple[str, str | int]
"""Name and value of a gRPC channel argument."""

MAX_MESSAGE_BYTES = 64 * 1024 * 1024

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.enable_retries", 0),  # the module `retries` does this
    # By default gRPC sends all calls to the first address of a name: one of several gateways would get them all.
    ("grpc.lb_policy_name", "round_robin"),
    # By default gRPC would wait up to two minutes before it reconnects to a gateway that is back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # While calls run, these detect a dead server within 40 s, also on a stream that is silent for long. By default gRPC
    # pings such a stream only once a minute; the gateway allows two pings per second.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]

_SCHEME = re.compile(r"(dns|ipv4|ipv6):(//[^/]*/)?")

_URL = re.compile(r"(https?|grpcs?|tcp|tls|h2c?)://([^/]*).*", re.IGNORECASE)
_PORT = re.compile(r"(?:[^:\[\]]*|\[[^\]]*\]):(?P<port>[^:]*)")

_CALLER = re.compile(r"[A-Za-z0-9._:@/-]{0,128}")


def caller_metadata(caller: str, priority: Priority) -> tuple[tuple[str, str], ...]:
    """Return the metadata that every call carries: priority and caller.

    Raises:
        ValueError: the name of the caller or the priority is invalid.
    """
    if not _CALLER.fullmatch(caller):
        raise ValueError("a caller's name is 1 to 128 letters, digits, `._:@/-`")
    metadata = (("x-priority", Priority(priority).value),)
    return (*metadata, ("x-caller", caller)) if caller else metadata


def check_address(address: str) -> None:
    """Reject addresses that gRPC would misread as the name of a host, or as another port.

    Raises:
        TypeError: the address is not a str.
        ValueError: gRPC can't connect to the address.
    """
    check(address, str, "address")
    if url := _URL.fullmatch(address.strip()):
        scheme, host = url[1].lower(), url[2]
        tls = " and TLS (tls=Tls(), --tls)" if scheme in {"https", "grpcs", "tls"} else ""
        raise ValueError(f"address takes host:port without {scheme}://: give {host or 'host:port'}{tls}")
    if not address or address != "".join(address.split()):
        raise ValueError("address takes host:port; it is empty or holds a space")
    if not address.startswith(("unix", "vsock:", "xds:")) and address.endswith("/"):
        raise ValueError(f"address takes host:port without a path: give {address.rstrip('/')}")
    named = _PORT.fullmatch(address)
    if named and not (named["port"].isdecimal() and 0 < int(named["port"]) < 65_536) and not _is_scheme(address):
        raise ValueError("address takes host:port with a port from 1 to 65535")


def _is_scheme(address: str) -> bool:
    return address.partition(":")[0] in {"dns", "ipv4", "ipv6", "unix", "unix-abstract", "vsock", "xds"}


def merge_options(address: str, given: Sequence[Option] | Mapping[str, str | int] = ()) -> list[Option]:
    """Return the arguments of a channel: the client's own, overridden by those of the caller.

    Raises:
        TypeError: an argument is not a pair of name and value.
    """
    check(given, Mapping[str, str | int] | Sequence[Option], "channel_options")
    return [*(dict([*OPTIONS, *proxy_options(address)]) | dict(given)).items()]


def proxy_options(address: str) -> list[tuple[str, Any]]:
    """Return options that make a channel to this machine ignore the proxies of the environment.

    By default gRPC uses `grpc_proxy`, `https_proxy` or `http_proxy` for `localhost` too.
    """
    return [("grpc.enable_http_proxy", 0)] if _is_local(address) else []


def _is_local(address: str) -> bool:
    """Tell whether an address, in any form that gRPC takes, belongs to this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    return all(map(_is_loopback, map(_host, _SCHEME.sub("", unquote(address), count=1).split(","))))


def _host(target: str) -> str:
    """Return the host of host:port, [host]:port or host."""
    if target.startswith("["):
        return target[1:].partition("]")[0]
    return target.partition(":")[0] if target.count(":") == 1 else target


def _is_loopback(host: str) -> bool:
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_unspecified


@dataclass(frozen=True)
class Tls:
    """Certificates that authenticate the server, and the caller (mTLS).

    Raises:
        ValueError: only one of certificate and key is given.
    """

    root_certificates: Path | None = None
    """PEM file of certificate authorities; None for those that come with gRPC."""
    certificate: Path | None = None
    """PEM file of the caller's certificate chain; needs `key`."""
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")

    def credentials(self) -> "grpc.ChannelCredentials":
        """Read the files and return the credentials of a channel.

        Raises:
            OSError: a file can't be read.
        """
        import grpc

        files = (self.root_certificates, self.key, self.certificate)
        return grpc.ssl_channel_credentials(*(file.read_bytes() if file else None for file in files))
