"""Embeddings of texts: each text once at a time, remembered, in batches of few shapes."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.text import normalise_text
from portrait.features.tokens import MAXIMUM_TOKENS
from portrait.server.inference.batcher import Batcher
from portrait.server.inference.triton import TritonModels
from portrait.server.releases import Release

LENGTHS = (8, 16, 24, 32, 48, MAXIMUM_TOKENS)
"""Token counts that batches are padded to: few, as some runtimes compile for each shape."""
TOKEN_BUDGET = 2048
"""Tokens in a batch, padding included."""
QUEUE = 20_000
_ENTRY_OVERHEAD_BYTES = 300
"""A cached text's own memory beside its vector and characters: key, node, array header."""


class TextCache:
    """Embeddings of the texts used last, within a bound of memory.

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

    def put(self, text: str, vector: NDArray[np.float32]) -> None:
        """Remember an embedding; the ones not used for longest make room."""
        if text in self._entries:
            return
        self._entries[text] = vector
        self.bytes += _size(text, vector)
        while self.bytes > self._limit:
            self.bytes -= _size(*self._entries.popitem(last=False))


def _size(text: str, vector: NDArray[np.float32]) -> int:
    return vector.nbytes + 4 * len(text) + _ENTRY_OVERHEAD_BYTES


class TextEncoder:
    """Encodes texts with the release's `text_encoder`.

    Args:
        models: the graphs.
        release: tokenizer and dimension.
        cache_bytes: memory for embeddings of texts seen before.
    """

    def __init__(self, models: TritonModels, release: Release, cache_bytes: int) -> None:
        self._models, self._release = models, release
        self.cache = TextCache(cache_bytes)
        self.batcher: Batcher[list[int], NDArray[np.float32]] = Batcher(self._run, _cut, concurrency=1, limit=QUEUE)
        self._pending: dict[str, asyncio.Task[NDArray[np.float32]]] = {}

    async def encode(self, texts: Sequence[str], deadline: float | None) -> NDArray[np.float32]:
        """`[texts, dimension]`, unit length. A text that another request waits for is not computed again.

        Args:
            texts: at least zero of them.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        found: dict[str, NDArray[np.float32]] = {}
        normal = [normalise_text(text) for text in texts]
        missing = []
        for text in dict.fromkeys(normal):
            vector = self.cache.get(text)
            if vector is None:
                missing.append(text)
            else:
                found[text] = vector
        if missing:
            found |= dict(zip(missing, await self._compute(missing, deadline), strict=True))
        if not normal:
            return np.zeros((0, self._release.dimension), dtype=np.float32)
        return np.stack([found[text] for text in normal])

    async def _compute(self, texts: list[str], deadline: float | None) -> list[NDArray[np.float32]]:
        new = [text for text in texts if text not in self._pending]
        if new:
            # Off the event loop: the tokenizer releases the GIL.
            tokens = await asyncio.to_thread(self._release.tokenizer.token_ids, new)
            for text, row in zip(new, tokens, strict=True):
                if text not in self._pending:
                    self._pending[text] = asyncio.create_task(self._one(text, row, deadline))
        waited = [self._pending.get(text) or asyncio.create_task(self._cached(text)) for text in texts]
        # A caller that gives up does not take the text from others that wait for it.
        return list(await asyncio.gather(*(asyncio.shield(task) for task in waited)))

    async def _one(self, text: str, tokens: list[int], deadline: float | None) -> NDArray[np.float32]:
        try:
            vector = await self.batcher.submit(tokens, deadline)
            self.cache.put(text, vector)
            return vector
        finally:
            del self._pending[text]

    async def _cached(self, text: str) -> NDArray[np.float32]:
        """A text that was finished while others of the same call were tokenised."""
        vector = self.cache.get(text)
        return vector if vector is not None else (await self.encode([text], None))[0]

    async def _run(self, rows: Sequence[list[int]], deadline: float | None) -> list[NDArray[np.float32]]:
        batch = self._release.tokenizer.pad(rows, bucket(max(map(len, rows)), LENGTHS))
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        shapes = {"embedding": (len(rows), self._release.dimension)}
        return list((await self._models.run("text_encoder", inputs, shapes, deadline))["embedding"])


def bucket(length: int, lengths: Sequence[int]) -> int:
    """The smallest of some lengths that holds the given one; the length itself beyond them."""
    return next((each for each in lengths if each >= length), length)


def _cut(rows: Sequence[list[int]]) -> int:
    """As many rows as fit the token budget when padded to the longest of them."""
    longest = 0
    for count, row in enumerate(rows):
        longest = max(longest, bucket(len(row), LENGTHS))
        if count and longest * (count + 1) > TOKEN_BUDGET:
            return count
    return len(rows)
