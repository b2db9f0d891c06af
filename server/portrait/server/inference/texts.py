"""Embeddings of texts: each text once at a time, remembered, in batches of few shapes."""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from portrait.features.text.normalisation import normalise_text
from portrait.features.text.tokenizer import MAX_TOKENS
from portrait.server.batching.batcher import Batcher
from portrait.server.batching.caller_key import current_caller_key
from portrait.server.batching.shapes import Shapes
from portrait.server.errors import DeadlineExceeded
from portrait.server.inference.tokeniser import Tokeniser
from portrait.server.inference.triton import AHEAD, TritonModels
from portrait.server.release.release import Release

SHAPES = Shapes(
    lengths=(8, 12, 14, 16, 18, 20, 22, 24, 28, 32, 40, 48, MAX_TOKENS),
    rows=(1, 2, 3, 4, 6, 8, 9, 10, 12, 13, *range(14, 33, 2), *range(36, 65, 4)),
    budget=384,
    overhead=24,
    min_fill_when_busy=0.9,
)
"""Batches of texts, by numbers of tokens, closest where titles are most. docs/operations/batching.md has the figures
behind the numbers, and what to change on a GPU."""
QUEUE = 20_000
"""Texts that may be unanswered at one time."""

TextOutput = Literal["embedding", "sentence_embedding"]
"""An output of the text encoder: in the space of items and profiles, or in general language."""

_ENTRY_BYTES = 500
"""A cached text's memory beside its vector's numbers and its characters: string, array and dictionary entry."""

_SENTENCE_CACHE_PART = 8
"""Sentence embeddings, of searches in other catalogues than the products', get so small a part of the memory."""


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

    def peek(self, text: str) -> NDArray[np.float32] | None:
        """The same, without counting as a use."""
        return self._entries.get(text)

    def copy_from(self, other: "TextCache") -> None:
        """Remember what another cache does, as far as there is room for it; the vectors are shared."""
        for text, vector in other._entries.items():
            self._insert(text, vector)

    def put(self, text: str, vector: NDArray[np.float32]) -> None:
        """Remember an embedding; the ones not used for longest make room."""
        # A copy: the vector is a row of its batch, and would keep all of it.
        if text not in self._entries:
            self._insert(text, vector.copy())

    def _insert(self, text: str, vector: NDArray[np.float32]) -> None:
        if text in self._entries:
            return
        self._entries[text] = vector
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
        instances: of the graph in Triton, each of which runs a batch at a time; `batcher.set_instances` changes it.
    """

    def __init__(self, models: TritonModels, release: Release, cache_bytes: int, instances: int) -> None:
        self._models, self._release = models, release
        self._tokeniser = Tokeniser(release.tokenizer)
        self._dimensions: dict[TextOutput, int] = {
            "embedding": release.dimension,
            "sentence_embedding": release.manifest.sentence_dimension,
        }
        self._in_flight: dict[tuple[TextOutput, str, bool], _InFlight] = {}
        self.cache = TextCache(cache_bytes)
        """The embeddings of texts."""
        self._caches: dict[TextOutput, TextCache] = {
            "embedding": self.cache,
            "sentence_embedding": TextCache(cache_bytes // _SENTENCE_CACHE_PART),
        }
        self.batcher: Batcher[_Text, NDArray[np.float32]] = Batcher(
            self._run,
            lambda text: len(text.tokens),
            SHAPES,
            concurrency=instances + AHEAD,
            limit=QUEUE,
            instances=instances,
            name="text_encoder",
        )

    async def encode(
        self, texts: Sequence[str], deadline: float | None, output: TextOutput = "embedding"
    ) -> NDArray[np.float32]:
        """`[texts, dimension]`, unit length. A text that another request waits for is not computed again.

        Args:
            texts: at least zero of them.
            deadline: `loop.time()` at which the caller's time is up; None if never.
            output: the output wanted, which decides the dimension.
        """
        normal, cache = [normalise_text(text) for text in texts], self._caches[output]
        known = {text: cache.get(text) for text in dict.fromkeys(normal)}
        found = {text: vector for text, vector in known.items() if vector is not None}
        missing = [text for text in known if text not in found]
        if missing:
            tokens = await self._tokeniser.token_ids(missing)
            wanted = {text: _Text(tokens, output) for text, tokens in zip(missing, tokens, strict=True)}
            found |= await self._encode_missing(wanted, deadline)
        embeddings = np.empty((len(normal), self._dimensions[output]), dtype=np.float32)
        for place, text in enumerate(normal):
            embeddings[place] = found[text]
        return embeddings

    def take_over(self, other: "TextEncoder") -> None:
        """Remember the embeddings of another release, if its texts are encoded by the same graph and tokenizer."""
        if self._release.text_encoder_hashes == other._release.text_encoder_hashes:
            for output, cache in self._caches.items():
                cache.copy_from(other._caches[output])

    async def warm_up(self) -> None:
        """Run the shapes of single texts, so that the first to ask does not wait for a runtime that compiles them."""
        for length in SHAPES.lengths:
            text = _Text([0] * length, "embedding")
            # At the same time, so that each instance gets one: each compiles for itself.
            await asyncio.gather(*(self._run([text], length, None) for _ in range(self.batcher.instances)))

    async def _encode_missing(
        self, missing: "dict[str, _Text]", deadline: float | None
    ) -> dict[str, NDArray[np.float32]]:
        """Embeddings of texts that were not in the cache before they were tokenised."""
        found: dict[str, NDArray[np.float32]] = {}
        while missing:
            in_flight: dict[str, _InFlight] = {}
            try:
                for text, tokenised in missing.items():
                    in_flight[text] = self._join_in_flight(text, tokenised, deadline)
                await _all_done([pending.answer for pending in in_flight.values()])
                for text, pending in in_flight.items():
                    if not pending.is_late:
                        found[text] = pending.answer.result()
            finally:
                for pending in in_flight.values():
                    pending.leave()
            missing = {text: tokenised for text, tokenised in missing.items() if text not in found}
            # A pending has the deadline of the one who began it; others may have time left.
            if missing and deadline is not None and deadline <= asyncio.get_running_loop().time():
                raise DeadlineExceeded("the deadline passed while texts waited to be encoded")
        return found

    def _join_in_flight(self, text: str, tokenised: "_Text", deadline: float | None) -> "_InFlight":
        """A text under way, shared with all who ask for it at the same time and with the same urgency."""
        key = (tokenised.output, text, current_caller_key().background)
        pending = self._in_flight.get(key)
        if pending is None or pending.answer.done():
            # Another call may have brought it in while this one was tokenising.
            if (vector := self._caches[tokenised.output].peek(text)) is not None:
                return _InFlight.completed(vector)
            pending = self._in_flight[key] = _InFlight(self.batcher.submit(tokenised, deadline))
            pending.answer.add_done_callback(partial(self._complete, key, pending))
        pending.waiting += 1
        return pending

    def _complete(
        self, key: tuple[TextOutput, str, bool], pending: "_InFlight", answer: "asyncio.Future[NDArray[np.float32]]"
    ) -> None:
        if self._in_flight.get(key) is pending:
            del self._in_flight[key]
        if not answer.cancelled() and answer.exception() is None:
            self._caches[key[0]].put(key[1], answer.result())

    async def _run(self, rows: "Sequence[_Text]", length: int, deadline: float | None) -> Sequence[NDArray[np.float32]]:
        batch = self._release.tokenizer.pad([row.tokens for row in rows], length)
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        shapes: dict[str, tuple[int, ...]] = {row.output: (len(rows), self._dimensions[row.output]) for row in rows}
        answer = await self._models.run("text_encoder", inputs, shapes, deadline)
        return [answer[row.output][place] for place, row in enumerate(rows)]


@dataclass(frozen=True, slots=True)
class _Text:
    """A tokenised text, and the output that is wanted of it."""

    tokens: list[int]
    output: TextOutput


class _InFlight:
    """A text on its way to its embedding, for as long as somebody waits for it."""

    def __init__(self, answer: "asyncio.Future[NDArray[np.float32]]") -> None:
        self.answer = answer
        self.waiting = 0

    @classmethod
    def completed(cls, vector: NDArray[np.float32]) -> "_InFlight":
        """One that is over."""
        answer: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()
        answer.set_result(vector)
        return cls(answer)

    @property
    def is_late(self) -> bool:
        """True if it failed because the deadline of its first caller passed."""
        return not self.answer.cancelled() and isinstance(self.answer.exception(), DeadlineExceeded)

    def leave(self) -> None:
        """Wait for it no longer."""
        self.waiting -= 1
        if self.waiting <= 0:
            self.answer.cancel()  # takes it back, unless it is done


async def _all_done(answers: Sequence["asyncio.Future[NDArray[np.float32]]"]) -> None:
    """Wait until all answers are there or failed, without a task for each. Cancels none of them if it is cancelled."""
    left = [answer for answer in answers if not answer.done()]
    if not left:
        return
    every = asyncio.get_running_loop().create_future()
    remaining = len(left)

    def count(_: object) -> None:
        nonlocal remaining
        remaining -= 1
        if not remaining and not every.done():
            every.set_result(None)

    for answer in left:
        answer.add_done_callback(count)
    try:
        await every
    finally:
        for answer in left:
            answer.remove_done_callback(count)
