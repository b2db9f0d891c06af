"""The gateway's port: how its connections behave, where it listens, and how it is secured."""

import asyncio
from collections.abc import Callable

import grpc
import structlog

from portrait.server.rpc.tls import Certificates
from portrait.server.runtime.addresses import (
    UNIX_SCHEME,
    bind_address,
    claim_unix_socket,
    is_local,
    open_unix_socket_to_group,
)
from portrait.server.runtime.signals import handle_hangup
from portrait.server.settings import Settings

_MIN_PING_MILLISECONDS = 500
"""Callers may ping this often, with or without calls: gRPC's own rule, once in 5 minutes, closes the connections of
callers who watch over a silent stream. Even pings of every second, that arrive a little closer, are within it."""
_MAX_PENDING_CALLS = 20_000
"""Calls that wait until the event loop takes them up. From 1,000 on, gRPC would cancel some by chance, which neither
counts nor logs them and which nobody retries; those that are taken up are refused by the rules of the gateway."""
_KEEPALIVE_MILLISECONDS = 60_000
_KEEPALIVE_TIMEOUT_MILLISECONDS = 20_000
"""A caller who is silent for the first, and then does not answer a ping for the second, is gone; so are its streams."""
_AGE_GRACE_SECONDS = 5.0
"""Seconds beyond the longest deadline that calls get on a connection that has reached its age: none is cut off."""
_CLOSING_SECONDS = 1.0
"""Seconds that callers get to read the last responses, and to close their connections."""
_POLL_SECONDS = 0.05

_log = structlog.get_logger(__name__)


def server_options(settings: Settings, *, shared: bool) -> list[tuple[str, int]]:
    """Options of the gRPC server.

    Args:
        settings: of the gateway.
        shared: whether other processes serve at the same port.
    """
    options = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # Unless it is one of ours, a second gateway on the same port is a mistake, not a way to share it.
        ("grpc.so_reuseport", int(shared)),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_MILLISECONDS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.server.max_pending_requests", _MAX_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING_CALLS),
    ]
    if settings.connection_age_seconds:
        # gRPC varies the age by a tenth, so that callers who came together do not all come back together.
        grace = settings.max_deadline_seconds + _AGE_GRACE_SECONDS
        options += [
            ("grpc.max_connection_age_ms", max(1, round(1000 * settings.connection_age_seconds))),
            ("grpc.max_connection_age_grace_ms", round(1000 * grace)),
        ]
    return options


def listen(server: grpc.aio.Server, settings: Settings, certificates: Certificates | None) -> int:
    """Open the port; returns it. At SIGHUP, changed certificates are read at once and not at the next connection.

    Raises:
        OSError: it is taken, or can't be opened.
    """
    address = bind_address(settings.host, settings.port)
    if settings.host.startswith(UNIX_SCHEME):
        claim_unix_socket(settings.host)
    try:
        if certificates is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, certificates.credentials())
            handle_hangup(certificates.refresh)
    except RuntimeError as error:
        raise OSError(f"can't listen on {address}: the port is taken, or the address is not of this machine") from error
    if settings.host.startswith(UNIX_SCHEME):
        open_unix_socket_to_group(settings.host)
    return port


async def stop_server(server: grpc.aio.Server, count_running: Callable[[], int], seconds: float) -> None:
    """Take up no more calls, and end once none runs any more.

    gRPC itself would wait up to 20 s more for each connection whose caller is gone without a word.

    Args:
        server: to be ended.
        count_running: tells how many calls run.
        seconds: what calls that run may take to end, before they are cancelled.
    """
    stopping = asyncio.create_task(server.stop(seconds))
    await asyncio.sleep(0)  # from here on none is taken up
    while count_running() and not stopping.done():
        await asyncio.wait({stopping}, timeout=_POLL_SECONDS)
    await server.stop(min(seconds, _CLOSING_SECONDS))
    await stopping


def warn_about_plain_text(settings: Settings) -> None:
    """Log a warning if data of shoppers would cross the network unprotected."""
    if settings.tls_certificate is None and not is_local(settings.host):
        _log.warning(
            "plain_text",
            host=settings.host,
            reason="calls from other machines are neither encrypted nor authenticated: set tls_certificate and tls_key",
        )
