"""Transport security of the gateway's port."""

import grpc

from portrait.server.settings import Settings


def credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """The port's credentials; None for plain text.

    Raises:
        OSError: a file can't be read.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    authorities = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
    return grpc.ssl_server_credentials(
        [(settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )
