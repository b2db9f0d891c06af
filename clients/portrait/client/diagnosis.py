"""Diagnosis of failed connections: causes that gRPC does not report, such as TLS on one side only."""

import re
import socket
import ssl

from portrait.client.channels import Tls
from portrait.client.errors import PortraitError

_SECONDS = 0.5
"""Time limit of each step of the diagnosis, in seconds; it comes on top of the call's deadline."""
_NOT_CONNECTED = re.compile(r"failed to connect to all addresses|connections to all backends failing")
_TARGET = re.compile(r"(?:dns:(?://[^/]*/)?|ipv4:)?(?P<host>[^:/\[\],]+|\[[^\]]+\]):(?P<port>\d+)")
_CERTIFICATE_REQUIRED = "the server requires a client certificate: certificate and key, --certificate and --key"
_NO_PORT = re.compile(r"[^:/\[\],]+|\[[^\]]+\]")


def explain_failure(address: str, tls: Tls | None, failure: PortraitError) -> str:
    """Explain why the connection failed, and which option fixes it; empty if the cause is unknown.

    It opens a connection of its own: gRPC reports only the last address that it tried, and the server may listen at
    another one.

    Args:
        address: address of the gateway.
        tls: certificates of the channel; None for plain text.
        failure: the error of the call.
    """
    if not _NOT_CONNECTED.search(failure.message):
        return ""
    if _NO_PORT.fullmatch(address):
        return "the address has no port, so 443 was tried: give host:port"
    target = _TARGET.fullmatch(address)
    if not target:
        return ""
    host = target["host"].strip("[]")
    try:
        with socket.create_connection((host, int(target["port"])), timeout=_SECONDS) as connection:
            return _try_handshake(connection, host, tls)
    except (OSError, ValueError):  # nothing listens, or a file is not a certificate
        return ""


def _try_handshake(connection: socket.socket, host: str, tls: Tls | None) -> str:
    """Start TLS as the channel would, and explain how the server reacts; empty if it accepts."""
    try:
        with _context(tls).wrap_socket(connection, server_hostname=host) as secured:
            if tls is None:
                return "the server uses TLS, this client does not: tls=Tls(), --tls"
            # A server that requires a client certificate closes the connection after the handshake; others send first.
            return "" if secured.recv(1) or tls.certificate else _CERTIFICATE_REQUIRED
    except ssl.SSLCertVerificationError as error:
        cause = error.verify_message.rstrip(".")
        return f"the server's certificate is not accepted, {cause}: root_certificates, --root-certificates"
    except ssl.SSLError as error:
        if "CERTIFICATE_REQUIRED" in str(error):
            return _CERTIFICATE_REQUIRED
        is_refused = tls is None or "ALERT" in str(error)
        return "" if is_refused else "the server does not use TLS, this client does: omit tls and --tls"


def _context(tls: Tls | None) -> ssl.SSLContext:
    """Make a context that accepts what the channel accepts; without TLS on the channel, any certificate."""
    roots = tls and tls.root_certificates
    context = ssl.create_default_context(cafile=str(roots) if roots else None)
    context.set_alpn_protocols(["h2"])
    if tls is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif tls.certificate and tls.key:
        context.load_cert_chain(tls.certificate, tls.key)
    return context
