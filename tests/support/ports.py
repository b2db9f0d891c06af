"""Ports for servers that tests start on a port that they know before."""

import random
import socket

_PORTS = range(10_000, 20_000)
"""Below the ports that Linux gives to outgoing connections, and those of the embedded Triton: nobody else takes one."""


def find_free_port() -> int:
    """Find a port of 127.0.0.1 on which nobody listens."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
