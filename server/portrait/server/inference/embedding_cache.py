"""Profiles of histories that were encoded before, for the time in which no model answers."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Event

MAX_ENTRIES = 20_000
"""Histories; of 256 numbers each they take about 30 MB."""
_KEY_EVENTS = 64
"""A history is known by so many of its latest events."""
_NEWER_EVENTS = 8
"""The profile of a history before its latest events, so many of them at most, stands for it too."""


class ProfileEmbeddingCache:
    """Embeddings of the histories that were asked for last, of one release.

    A history is known by the hash of its events, so that nothing of a shopper is kept but the embedding.

    Args:
        limit: how many.
    """

    def __init__(self, limit: int = MAX_ENTRIES) -> None:
        self._limit = limit
        self._entries: OrderedDict[int, NDArray[np.float32]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, history: Sequence[Event], vector: NDArray[np.float32]) -> None:
        """Remember the profile of a history; the ones not used for longest make room."""
        key = _key(history)
        if key not in self._entries:
            # A copy: the vector is a row of its batch, and would keep all of it.
            self._entries[key] = vector.copy()
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def get(self, history: Sequence[Event]) -> NDArray[np.float32] | None:
        """The profile of a history, or of the same one a few events ago."""
        for newer in range(min(len(history), _NEWER_EVENTS + 1)):
            vector = self._entries.get(_key(history[: len(history) - newer]))
            if vector is not None:
                return vector
        return None


def _key(history: Sequence[Event]) -> int:
    """Python's hash of text is keyed anew in each process, so that nobody can make two histories meet.

    Of whole events: those of two shoppers may have one id, and an inline history's need none.
    """
    return hash(tuple(history[-_KEY_EVENTS:]))
