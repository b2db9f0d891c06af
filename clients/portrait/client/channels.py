"""Channels: security, and retries with a budget by gRPC's own retry policy."""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import grpc

DEFAULT_ADDRESS = "localhost:50051"
DEFAULT_TIMEOUT = 5.0
"""Seconds that a call may take, retries included."""
MAXIMUM_MESSAGE_BYTES = 64 * 1024 * 1024

# gRFC A6 (https://github.com/grpc/proposal/blob/master/A6-client-retries.md): at most four tries; a failure takes a
# token of ten, a success gives a tenth back, and below half of them nothing is retried, so that a server in trouble is
# not asked four times as often. The gateway says by `grpc-retry-pushback-ms` when a retry makes sense, as its RetryInfo
# does, and that is honoured. RESOURCE_EXHAUSTED is not tried again: the caller knows whether it can wait. Every call
# is safe to repeat: events carry ids, and all else reads or sets.
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
    # While calls run, a server that is gone is noticed within 40 s, also on a stream that says nothing for long. gRPC
    # would ping such a stream once a minute only; the gateway allows two pings a second.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]


_CALLER = re.compile(r"[A-Za-z0-9._:@/-]{0,128}")


class Priority(StrEnum):
    """Which calls an overloaded gateway serves first."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BATCH = "batch"
    """Nobody does."""


def metadata(caller: str, priority: Priority) -> tuple[tuple[str, str], ...]:
    """What every call says of itself.

    Raises:
        ValueError: this can't be a caller's name, or a priority.
    """
    if not _CALLER.fullmatch(caller):
        raise ValueError("a caller's name is 1 to 128 letters, digits, `._:@/-`")
    said = (("x-priority", Priority(priority).value),)
    return (*said, ("x-caller", caller)) if caller else said


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
