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

# gRFC A6: at most four tries; a failure takes a token of ten, a success gives a tenth back, and below half of them
# nothing is retried, so that a server in trouble is not asked thrice as often. A server's own pushback is honoured.
# Every call is safe to repeat: events carry ids, and all else reads or sets.
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
    """How the server is recognised, and the caller by it (mTLS)."""

    root_certificates: Path | None = None
    """PEM file of authorities; None for the system's."""
    certificate: Path | None = None
    """PEM file of the caller's certificate chain; goes with `key`."""
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """The credentials of a channel."""

        def read(path: Path | None) -> bytes | None:
            return path.read_bytes() if path else None

        return grpc.ssl_channel_credentials(read(self.root_certificates), read(self.key), read(self.certificate))
