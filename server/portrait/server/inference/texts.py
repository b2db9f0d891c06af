"""Embeddings of texts: each text once at a time, remembered, in batches of few shapes."""

import asyncio
import bisect
import itertools
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.text import normalise_text
from portrait.features.tokens import MAXIMUM_TOKENS
from portrait.server.errors import DeadlineExceeded
from portrait.server.inference.batcher import Batcher
from portrait.server.inference.triton import CALLS, TritonModels
from portrait.server.releases import Release

LENGTHS = (8, 16, 24, 32, 48, MAXIMUM_TOKENS)
"""Token counts that texts are padded to: few, as some runtimes compile for each shape."""
TOKEN_BUDGET = 2048
"""Tokens in a batch, padding included."""
ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 42, 48, 64, 85, 128, 256)
"""Numbers of texts in a batch: few again, and the budget of each length among them. No row is padding: what is
over goes out in the next batch."""
QUEUE = 20_000
"""Texts that may be unanswered at one time."""

_ENTRY_BYTES = 500
"""A cached text's memory beside its vector's numbers and its characters: string, array and dictionary entry."""


class TextCache:
    """Embeddings of the texts used last, of one release, within a bound of memory.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, text: str) -> NDArray[np.float32] | None:
        """The embedding of a text, if it is remembered."""
        vector = self._entries.get(text)
        if vector is None:
            self.misses += 1
        else:
            self.hits += 1
            self._entries.move_to_end(text)
        return vector

    def latest(self, count: int) -> list[str]:
        """The texts used last, at most so many, the latest first."""
        return list(itertools.islice(reversed(self._entries), count))

    def put(self, text: str, vector: NDArray[np.float32]) -> None:
        """Remember an embedding; the ones not used for longest make room."""
        if text in self._entries:
            return
        # A copy: the vector is a row of its batch, and would keep all of it.
        self._entries[text] = vector.copy()
        self.bytes += _size(text, vector)
        while self.bytes > self._limit:
            self.bytes -= _size(*self._entries.popitem(last=False))


def _size(text: str, vector: NDArray[np.float32]) -> int:
    return vector.nbytes + 4 * len(text) + _ENTRY_BYTES


class TextEncoder:
    """Encodes texts with the release's `text_encoder`.

    Args:
        models: the graphs.
        release: tokenizer and dimension.
        cache_bytes: memory for embeddings of texts seen before.
    """

    def __init__(self, models: TritonModels, release: Release, cache_bytes: int) -> None:
        self._models, self._release = models, release
        self._flights: dict[str, _Flight] = {}
        self.cache = TextCache(cache_bytes)
        self.batcher: Batcher[list[int], NDArray[np.float32]] = Batcher(
            self._run, lambda tokens: bucket(len(tokens), LENGTHS), batch_size, concurrency=CALLS, limit=QUEUE
        )

    async def encode(self, texts: Sequence[str], deadline: float | None) -> NDArray[np.float32]:
        """`[texts, dimension]`, unit length. A text that another request waits for is not computed again.

        Args:
            texts: at least zero of them.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        normal = [normalise_text(text) for text in texts]
        known = {text: self.cache.get(text) for text in dict.fromkeys(normal)}
        found = {text: vector for text, vector in known.items() if vector is not None}
        missing = [text for text in known if text not in found]
        if missing:
            # Off the event loop: the tokenizer releases the GIL.
            tokens = await asyncio.to_thread(self._release.tokenizer.token_ids, missing)
            waits = [self._embedding(text, row, deadline) for text, row in zip(missing, tokens, strict=True)]
            found |= dict(zip(missing, await asyncio.gather(*waits), strict=True))
        embeddings = np.empty((len(normal), self._release.dimension), dtype=np.float32)
        for place, text in enumerate(normal):
            embeddings[place] = found[text]
        return embeddings

    async def _embedding(self, text: str, tokens: list[int], deadline: float | None) -> NDArray[np.float32]:
        """The embedding of one text, shared with all who ask for it at the same time."""
        while True:
            begun = self._flights.get(text)
            if begun is not None and not begun.task.done():
                flight = begun
            # Another call may have brought it in while this one was tokenising.
            elif (vector := self.cache.get(text)) is not None:
                return vector
            else:
                flight = self._flights[text] = _Flight(asyncio.create_task(self._compute(text, tokens, deadline)))
            flight.waiting += 1
            try:
                return await asyncio.shield(flight.task)
            except DeadlineExceeded:
                # A flight has the deadline of the one who began it; others may have time left.
                if flight is not begun or (deadline is not None and deadline <= asyncio.get_running_loop().time()):
                    raise
            finally:
                flight.waiting -= 1
                if not flight.waiting:
                    flight.task.cancel()
                    if self._flights.get(text) is flight:
                        del self._flights[text]

    async def _compute(self, text: str, tokens: list[int], deadline: float | None) -> NDArray[np.float32]:
        vector = await self.batcher.submit(tokens, deadline)
        self.cache.put(text, vector)
        return vector

    async def _run(self, rows: Sequence[list[int]], deadline: float | None) -> Sequence[NDArray[np.float32]]:
        batch = self._release.tokenizer.pad(rows, bucket(max(map(len, rows)), LENGTHS))
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        shapes = {"embedding": (len(rows), self._release.dimension)}
        return list((await self._models.run("text_encoder", inputs, shapes, deadline))["embedding"])


class _Flight:
    """A text on its way to its embedding, for as long as somebody waits for it."""

    def __init__(self, task: "asyncio.Task[NDArray[np.float32]]") -> None:
        self.task = task
        self.waiting = 0


def bucket(length: int, lengths: Sequence[int]) -> int:
    """The smallest of some ascending lengths that holds the given one; the length itself beyond them."""
    place = bisect.bisect_left(lengths, length)
    return lengths[place] if place < len(lengths) else length


def batch_size(length: int, waiting: int) -> int:
    """Texts in the next batch, of those that wait padded to one length: within the budget, one of `ROWS`."""
    most = max(1, min(waiting, TOKEN_BUDGET // length))
    return ROWS[bisect.bisect_right(ROWS, most) - 1]
