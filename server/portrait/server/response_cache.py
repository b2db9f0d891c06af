"""A cache of serialised responses, which are valid as long as nothing changes that they depend on."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

_ENTRY_BYTES = 600
"""Memory of an entry besides its response: key, tuple, numbers, state and dictionary entry."""


_MIN_HIT_RATE = 0.05
"""A hit saves more than twenty times what it costs to read a request and to look it up."""
_SMOOTHING = 0.01


class _Entry(NamedTuple):
    wire: bytes
    state: Hashable
    until: float


class ResponseCache:
    """Keeps the most recently used responses, within a limit of memory.

    The key of a request is a keyed hash of its bytes, so that nothing of a shopper is kept beside the response.

    Args:
        limit: the memory of all entries, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._secret = os.urandom(16)  # so that nobody can construct two requests with the same key
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._hit_rate = 1.0
        """The smoothed share of lookups that hit, 0 to 1."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_effective(self) -> bool:
        """True if lookups hit often enough lately to pay for reading the requests."""
        return self._hit_rate > _MIN_HIT_RATE

    def key(self, method: str, request: bytes) -> bytes:
        """Compute the key of a request.

        Args:
            method: the full name of the method, and what else the response depends on beside the request.
            request: the serialised request.
        """
        return hashlib.blake2b(method.encode() + request, digest_size=16, key=self._secret).digest()

    def get(self, key: bytes, state: Hashable, now: float) -> bytes | None:
        """Look up the response to a request; None if there is none that is valid.

        Args:
            key: the key of the request.
            state: the state of everything else that the response depends on; a response of another state is dropped.
            now: the time in seconds, by the clock of `put`.
        """
        found = self._entries.get(key)
        if found is not None and found.state == state and now <= found.until:
            self.hits += 1
            self._hit_rate += _SMOOTHING * (1.0 - self._hit_rate)
            self._entries.move_to_end(key)
            return found.wire
        self.misses += 1
        self._hit_rate -= _SMOOTHING * self._hit_rate
        if found is not None:
            self._drop(key)
        return None

    def put(self, key: bytes, wire: bytes, state: Hashable, until: float) -> None:
        """Add a response; the least recently used ones are evicted.

        Args:
            key: the key of the request.
            wire: the serialised response.
            state: the state from before the response was made.
            until: the time in seconds after which it is too old.
        """
        if key in self._entries:
            self._drop(key)
        self._entries[key] = _Entry(wire, state, until)
        self.bytes += _size(wire)
        while self.bytes > self._limit:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        self.bytes -= _size(self._entries.pop(key).wire)


def _size(wire: bytes) -> int:
    return len(wire) + _ENTRY_BYTES
