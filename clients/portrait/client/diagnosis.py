"""Causes of failed connections that gRPC does not tell: TLS on one side only, a certificate that is not accepted."""

import re
import socket
import ssl

from portrait.client.channels import Tls
from portrait.client.errors import PortraitError

_SECONDS = 0.5
"""Time for each step of a look at the server, after the call's own deadline."""
_NOT_CONNECTED = re.compile(r"failed to connect to all addresses|connections to all backends failing")
_TARGET = re.compile(r"(?:dns:(?://[^/]*/)?|ipv4:)?(?P<host>[^:/\[\],]+|\[[^\]]+\]):(?P<port>\d+)")
_WANTS_CERTIFICATE = "the server wants a certificate of the caller: certificate and key, --certificate and --key"
_NO_PORT = re.compile(r"[^:/\[\],]+|\[[^\]]+\]")


def explain_failure(address: str, tls: Tls | None, failure: PortraitError) -> str:
    """Say why no connection came about, and which option mends it; empty if that can't be told.

    Opens one connection of its own: gRPC names the last of several addresses that it tried, which may be another than
    the one where a server listens.

    Args:
        address: of the gateway.
        tls: how the channel recognises the server; None for plain text.
        failure: what the call failed with.
    """
    if not _NOT_CONNECTED.search(failure.message):
        return ""
    if _NO_PORT.fullmatch(address):
        return "the address names no port, and 443 was tried: host:port"
    target = _TARGET.fullmatch(address)
    if not target:
        return ""
    host = target["host"].strip("[]")
    try:
        with socket.create_connection((host, int(target["port"])), timeout=_SECONDS) as connection:
            return _greet(connection, host, tls)
    except (OSError, ValueError):  # nobody listens, or a certificate's file is none
        return ""


def _greet(connection: socket.socket, host: str, tls: Tls | None) -> str:
    """Begin TLS as the channel would, and say what the server makes of it; empty if it is content."""
    try:
        with _context(tls).wrap_socket(connection, server_hostname=host) as greeted:
            if tls is None:
                return "the server speaks TLS, this client does not: tls=Tls(), --tls"
            # A server that misses the caller's certificate hangs up once the handshake is over; else it speaks first.
            return "" if greeted.recv(1) or tls.certificate else _WANTS_CERTIFICATE
    except ssl.SSLCertVerificationError as error:
        said = error.verify_message.rstrip(".")
        return f"the server's certificate is not accepted, {said}: root_certificates, --root-certificates"
    except ssl.SSLError as error:
        if "CERTIFICATE_REQUIRED" in str(error):
            return _WANTS_CERTIFICATE
        is_refused = tls is None or "ALERT" in str(error)
        return "" if is_refused else "the server does not speak TLS, this client does: leave tls and --tls away"


def _context(tls: Tls | None) -> ssl.SSLContext:
    """Make a context that accepts what the channel accepts; any certificate where that speaks no TLS."""
    roots = tls and tls.root_certificates
    context = ssl.create_default_context(cafile=str(roots) if roots else None)
    context.set_alpn_protocols(["h2"])
    if tls is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif tls.certificate and tls.key:
        context.load_cert_chain(tls.certificate, tls.key)
    return context
