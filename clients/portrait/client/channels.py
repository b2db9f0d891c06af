"""Channels: addresses, security, the caller's name, and how they connect."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from portrait.client.arguments import check
from portrait.client.enums import Priority

if TYPE_CHECKING:  # gRPC is slow to import, and the command line reads defaults from here
    import grpc

Option = tuple[str, str | int]
"""Name and value of an argument of a gRPC channel."""

MAXIMUM_MESSAGE_BYTES = 64 * 1024 * 1024

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.enable_retries", 0),  # `retries` does it
    # gRPC's default sends all calls to the first address of a name: of several gateways one would get them all.
    ("grpc.lb_policy_name", "round_robin"),
    # gRPC's default would leave a gateway that is back alone for up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MAXIMUM_MESSAGE_BYTES),
    # While calls run, a server that is gone is noticed within 40 s, also on a stream that says nothing for long. gRPC
    # would ping such a stream once a minute only; the gateway allows two pings a second.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]

_SCHEME = re.compile(r"(dns|ipv4|ipv6):(//[^/]*/)?")

_URL = re.compile(r"(https?|grpcs?|tcp|tls|h2c?)://([^/]*).*", re.IGNORECASE)
_PORT = re.compile(r"(?:[^:\[\]]*|\[[^\]]*\]):(?P<port>[^:]*)")

_CALLER = re.compile(r"[A-Za-z0-9._:@/-]{0,128}")


def metadata_of(caller: str, priority: Priority) -> tuple[tuple[str, str], ...]:
    """What every call says of itself.

    Raises:
        ValueError: this can't be a caller's name, or a priority.
    """
    if not _CALLER.fullmatch(caller):
        raise ValueError("a caller's name is 1 to 128 letters, digits, `._:@/-`")
    said = (("x-priority", Priority(priority).value),)
    return (*said, ("x-caller", caller)) if caller else said


def check_address(address: str) -> None:
    """Refuse what gRPC would take for the name of a host, or for another port than is meant.

    Raises:
        TypeError: the address is no text.
        ValueError: it is none that gRPC can connect to.
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


def merge_options(address: str, further: Sequence[Option] | Mapping[str, str | int] = ()) -> list[Option]:
    """Arguments of a channel: the caller's count before ours.

    Raises:
        TypeError: an argument is no pair of name and value.
    """
    check(further, Mapping[str, str | int] | Sequence[Option], "channel_options")
    return [*(dict([*OPTIONS, *proxy_options(address)]) | dict(further)).items()]


def proxy_options(address: str) -> list[tuple[str, Any]]:
    """Options of a channel that have it ignore the proxies of the environment, for an address of this machine.

    gRPC would ask `grpc_proxy`, `https_proxy` or `http_proxy` for `localhost` too.
    """
    return [("grpc.enable_http_proxy", 0)] if _is_local(address) else []


def _is_local(address: str) -> bool:
    """Whether an address, in any form that gRPC takes, is of this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    return all(map(_is_loopback, map(_host, _SCHEME.sub("", unquote(address), count=1).split(","))))


def _host(target: str) -> str:
    """The host of host:port, [host]:port or host."""
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
    """How the server is recognised, and the caller by it (mTLS).

    Raises:
        ValueError: of certificate and key, only one is given.
    """

    root_certificates: Path | None = None
    """PEM file of authorities; None for those that come with gRPC."""
    certificate: Path | None = None
    """PEM file of the caller's certificate chain; goes with `key`."""
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")

    def credentials(self) -> "grpc.ChannelCredentials":
        """The credentials of a channel.

        Raises:
            OSError: a file can't be read.
        """
        import grpc

        files = (self.root_certificates, self.key, self.certificate)
        return grpc.ssl_channel_credentials(*(file.read_bytes() if file else None for file in files))
