"""Answers that were given before, for as long as they are still right."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

_ENTRY_BYTES = 600
"""An entry's memory beside its bytes: key, tuple, numbers, state and dictionary entry."""


_WORTH = 0.05
"""An answer given again saves over twenty times what it takes to read a request and look for its answer."""
_SMOOTHING = 0.01


class _Entry(NamedTuple):
    wire: bytes
    state: Hashable
    until: float


class ResponseCache:
    """Serialised answers, the ones used last, within a bound of memory.

    A request is known by a keyed hash of its bytes: what a shopper did is kept in no other form than the answer.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._secret = os.urandom(16)  # nobody can make two requests meet
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._share = 1.0
        """Of the latest looks, how many found an answer."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_effective(self) -> bool:
        """Whether of late an answer was found often enough to pay for reading the requests."""
        return self._share > _WORTH

    def key(self, method: str, request: bytes) -> bytes:
        """What a request is known by.

        Args:
            method: what is called.
            request: as it came over the wire.
        """
        return hashlib.blake2b(method.encode() + request, digest_size=16, key=self._secret).digest()

    def get(self, key: bytes, state: Hashable, now: float) -> bytes | None:
        """The answer to a request, if it is still right.

        Args:
            key: the request's.
            state: of all that the answer is made from beside the request; an answer from another state is given up.
            now: seconds of the clock that `put` was told of.
        """
        found = self._entries.get(key)
        if found is not None and found.state == state and now <= found.until:
            self.hits += 1
            self._share += _SMOOTHING * (1.0 - self._share)
            self._entries.move_to_end(key)
            return found.wire
        self.misses += 1
        self._share -= _SMOOTHING * self._share
        if found is not None:
            self._drop(key)
        return None

    def put(self, key: bytes, wire: bytes, state: Hashable, until: float) -> None:
        """Keep an answer; the ones not used for longest make room.

        Args:
            key: the request's.
            wire: the answer, serialised.
            state: as it was before the answer was made.
            until: when it is too old.
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
