"""TLS of the gateway's port: certificates are checked at the start, and reloaded when their files change."""

import os
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import structlog

from portrait.server.runtime.file_state import read_file_state
from portrait.server.settings import Settings

_CERTIFICATE = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")
_ANY_STRENGTH = "DEFAULT:@SECLEVEL=0"
"""OpenSSL cipher list without a minimum key strength: the checks here only ask if the files are complete and match."""
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` does not name."""
_HANDSHAKE_STEPS = 8
"""Turns of client and server that complete a handshake in memory."""

_log = structlog.get_logger(__name__)


class TlsError(Exception):
    """A certificate, key or CA file can't be used; the message names the setting and the file."""


class Certificates:
    """The certificate chain, key and client CAs of the port: the last valid content of their files.

    Args:
        certificate: PEM file of the certificate chain.
        key: PEM file of the private key of the certificate.
        authorities: PEM file of the CAs that sign callers' certificates (mTLS); None serves callers without one.

    Raises:
        TlsError: a file can't be used.
    """

    def __init__(self, certificate: Path, key: Path, authorities: Path | None) -> None:
        self._certificate, self._key, self._authorities = certificate, key, authorities
        self._lock = threading.Lock()
        self.expires_at: float | None = None
        """Time at which the certificate in use expires, in seconds since 1970; None if it can't be told."""
        self._seen = self._state()
        self._configuration = self._load()

    def credentials(self) -> grpc.ServerCredentials:
        """Create server credentials that check the files for changes at every new connection."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self.refresh, require_client_authentication=self._authorities is not None
        )

    def refresh(self) -> grpc.ServerCertificateConfiguration:
        """Reload the files if they have changed; safe to call from any thread.

        Returns:
            the configuration for new connections. If the changed files can't be used, it is the one before.
        """
        with self._lock:
            state = self._state()  # taken before the files are read: the next call sees a change during the read
            if state != self._seen:
                self._seen = state
                try:
                    self._configuration = self._load()
                except TlsError as error:
                    _log.error("certificate_reload_failed", reason=f"{error}; the one in use is kept")
                else:
                    _log.info("certificate_reloaded", file=str(self._certificate))
            return self._configuration

    def _state(self) -> list[tuple[int, ...] | None]:
        """Return the attributes of the files that change when a file is written or replaced."""
        return [read_file_state(path) for path in (self._certificate, self._key, self._authorities) if path]

    def _load(self) -> grpc.ServerCertificateConfiguration:
        chain = _read("tls_certificate", self._certificate)
        key = _read("tls_key", self._key)
        authorities = _read("tls_client_ca", self._authorities) if self._authorities else None
        _check_certificates("tls_certificate", self._certificate, chain)
        if self._authorities and authorities is not None:
            _check_certificates("tls_client_ca", self._authorities, authorities)
        _check_key(self._key, key)
        pair = self._pair(chain, key)
        self.expires_at = _find_expiry(pair, chain)
        problem = _shake_hands(pair, chain)[1]
        if problem:
            _log.warning("certificate_problem", setting="tls_certificate", file=str(self._certificate), reason=problem)
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authorities)

    def _pair(self, chain: bytes, key: bytes) -> ssl.SSLContext:
        """Create a TLS context from a chain and its key.

        Raises:
            TlsError: the key does not match the certificate, or is damaged.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(_ANY_STRENGTH)
        with _in_memory(chain) as chain_file, _in_memory(key) as key_file:
            try:
                context.load_cert_chain(chain_file, key_file)
            except ssl.SSLError as error:
                if error.reason == "KEY_VALUES_MISMATCH":
                    raise TlsError(
                        f"tls_key: {self._key} is not the key of the certificate in {self._certificate}"
                    ) from error
                raise _damaged("tls_key", self._key, error) from error
        return context


def load_certificates(settings: Settings) -> Certificates | None:
    """Load and check the TLS files that the settings name; None for plain text.

    Raises:
        TlsError: a file can't be used.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{setting}: {path}: {error.strerror}") from error


def _check_certificates(setting: str, path: Path, pem: bytes) -> None:
    """Require complete certificates in a PEM file.

    Raises:
        TlsError: the file holds no certificate, or a damaged one.
    """
    if not _CERTIFICATE.search(pem):
        held = "a private key" if _KEY.search(pem) else "no certificate in PEM form"
        raise TlsError(f"{setting}: {path} holds {held}; a PEM file of certificates is wanted")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=_as_text(pem))
    except ssl.SSLError as error:
        raise _damaged(setting, path, error) from error


def _check_key(path: Path, pem: bytes) -> None:
    """Require a usable private key in a PEM file.

    Raises:
        TlsError: the file holds no private key, or one that a passphrase protects.
    """
    if not _KEY.search(pem):
        held = "a certificate" if _CERTIFICATE.search(pem) else "no private key in PEM form"
        raise TlsError(f"tls_key: {path} holds {held}; a PEM file of a private key is wanted")
    if _ENCRYPTED.search(pem):
        raise TlsError(f"tls_key: {path} is protected by a passphrase; a key without one is wanted")


def _damaged(setting: str, path: Path, error: ssl.SSLError) -> TlsError:
    return TlsError(f"{setting}: {path} can't be read as PEM, it may be damaged or cut off ({error.reason})")


def _as_text(pem: bytes) -> str:
    """Convert PEM to ASCII, which `ssl` requires; comments around the certificates may have any encoding."""
    return pem.decode("latin-1").encode("ascii", "replace").decode("ascii")


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """Yield the path of a file in memory with some content: `ssl` reads only files, and files on disk may change."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _find_expiry(server: ssl.SSLContext, chain: bytes) -> float | None:
    """Find the time at which a certificate expires, also if that is over; None if no client would look at it."""
    side, _ = _shake_hands(server, chain, _NO_CHECK_TIME)
    certificate = side.getpeercert()
    return None if not certificate else float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))


def _shake_hands(
    server: ssl.SSLContext, chain: bytes, flags: ssl.VerifyFlags = ssl.VERIFY_DEFAULT
) -> tuple[ssl.SSLObject, str | None]:
    """Do a handshake in memory of a server with a client that trusts exactly its certificate.

    Returns:
        the client's side, and a reason for which callers may refuse the certificate, for example that it has expired;
        None without one.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.set_ciphers(_ANY_STRENGTH)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | flags
    client.load_verify_locations(cadata=_as_text(chain))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    for step in range(_HANDSHAKE_STEPS):
        try:
            sides[step % 2].do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return sides[0], str(error.verify_message)
        except ssl.SSLError as error:
            return sides[0], str(error.reason)
    return sides[0], None
