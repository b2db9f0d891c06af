"""The gateway's port: the options of its connections, listening, and the orderly stop."""

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
"""Minimum time between two pings of a caller, with or without calls. gRPC's default is 5 minutes, and it closes the
connections of callers that ping more often to watch a silent stream. This allows a ping every second, with jitter."""
_MAX_PENDING_CALLS = 20_000
"""Maximum calls that wait until the event loop accepts them. By default gRPC cancels some at random from 1,000 on; they
are neither counted nor logged, and no client retries them. Admission control refuses accepted calls properly."""
_KEEPALIVE_MILLISECONDS = 60_000
_KEEPALIVE_TIMEOUT_MILLISECONDS = 20_000
"""The server pings a connection after the first time without data. It closes the connection and its streams if no
answer comes within the second time."""
_AGE_GRACE_SECONDS = 5.0
"""Seconds added to the longest deadline before a connection that has reached its age is closed: no call is cut off."""
_CLOSING_SECONDS = 1.0
"""Seconds during which callers read the last responses and close their connections."""
_POLL_SECONDS = 0.05
"""Seconds between checks for running calls while the server stops."""

_log = structlog.get_logger(__name__)


def server_options(settings: Settings, *, shared: bool) -> list[tuple[str, int]]:
    """Return the options of the gRPC server.

    Args:
        settings: the settings of the gateway.
        shared: True if other worker processes of this gateway listen on the same port.
    """
    options = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # Only workers of one gateway share a port; a second gateway on the same port is a mistake and must fail.
        ("grpc.so_reuseport", int(shared)),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_MILLISECONDS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.server.max_pending_requests", _MAX_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING_CALLS),
    ]
    if settings.connection_age_seconds:
        # gRPC varies the age by a tenth, so that callers that connected together do not all reconnect together.
        grace = settings.max_deadline_seconds + _AGE_GRACE_SECONDS
        options += [
            ("grpc.max_connection_age_ms", max(1, round(1000 * settings.connection_age_seconds))),
            ("grpc.max_connection_age_grace_ms", round(1000 * grace)),
        ]
    return options


def listen(server: grpc.aio.Server, settings: Settings, certificates: Certificates | None) -> int:
    """Open the port and return its number. SIGHUP reloads changed certificates at once, not at the next connection.

    Args:
        server: the server that listens.
        settings: the settings of the gateway; port 0 lets the system choose one.
        certificates: the certificates of the port; None for plain text.

    Raises:
        OSError: the port is taken, or can't be opened.
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
    """Accept no more calls, and stop the server as soon as no call runs.

    gRPC alone would wait up to 20 s longer for each connection whose caller vanished without closing it.

    Args:
        server: the server to stop.
        count_running: returns the number of running calls.
        seconds: time for running calls to end, after which they are cancelled.
    """
    stopping = asyncio.create_task(server.stop(seconds))
    await asyncio.sleep(0)  # lets `server.stop` begin: from here on the server accepts no call
    while count_running() and not stopping.done():
        await asyncio.wait({stopping}, timeout=_POLL_SECONDS)
    await server.stop(min(seconds, _CLOSING_SECONDS))
    await stopping


def warn_about_plain_text(settings: Settings) -> None:
    """Log a warning if the data of shoppers crosses the network without TLS."""
    if settings.tls_certificate is None and not is_local(settings.host):
        _log.warning(
            "plain_text",
            host=settings.host,
            reason="calls from other machines are neither encrypted nor authenticated: set tls_certificate and tls_key",
        )
