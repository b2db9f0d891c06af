"""Channels: security, and retries with a budget by gRPC's own retry policy."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

DEFAULT_ADDRESS = "localhost:50051"
DEFAULT_TIMEOUT = 5.0
"""Seconds that a call may take, retries included."""
MAXIMUM_MESSAGE_BYTES = 64 * 1024 * 1024

# gRFC A6 (https://github.com/grpc/proposal/blob/master/A6-client-retries.md): at most four tries; a failure takes a
# token of ten, a success gives a tenth back, and below half of them nothing is retried, so that a server in trouble is
# not asked four times as often. A server's own `grpc-retry-pushback-ms` is honoured. Every call is safe to repeat:
# events carry ids, and all else reads or sets.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.max_receive_message_length", MAXIMUM_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
]


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

    def credentials(self) -> grpc.ChannelCredentials:
        """The credentials of a channel.

        Raises:
            OSError: a file can't be read.
        """
        files = (self.root_certificates, self.key, self.certificate)
        return grpc.ssl_channel_credentials(*(file.read_bytes() if file else None for file in files))
