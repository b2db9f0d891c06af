"""Tokenising, of longer texts off the event loop: one thread at a time, texts that come meanwhile together."""

import asyncio
from collections.abc import Sequence

from portrait.features.text.tokenizer import TextTokenizer

_SHORT_CHARACTERS = 1_000
"""Texts of so many characters in all are read at once: handing them to a thread and back takes longer."""
_TOGETHER = 128
"""Texts of one call that are read together."""


class Tokeniser:
    """Turns texts into token ids.

    A few short texts, such as a query, are read at once. Others are read in a thread, where `encode_batch` releases the
    GIL. A thread costs more than a short text, so what comes while one is under way goes into the next together.

    Args:
        tokenizer: safe to call from a thread, as its settings are frozen.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._waiting: list[tuple[Sequence[str], asyncio.Future[list[list[int]]]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, unpadded; of many texts a part at a time, so that others are not held up."""
        if sum(map(len, texts)) <= _SHORT_CHARACTERS:
            return self._tokenizer.encode(texts)
        ids: list[list[int]] = []
        for begin in range(0, len(texts), _TOGETHER):
            ids += await self._tokenise_part(texts[begin : begin + _TOGETHER])
        return ids

    async def _tokenise_part(self, texts: Sequence[str]) -> list[list[int]]:
        answer: asyncio.Future[list[list[int]]] = asyncio.get_running_loop().create_future()
        self._waiting.append((texts, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await answer

    async def _read(self) -> None:
        """Read until nothing waits."""
        try:
            while waiting := [each for each in self._waiting if not each[1].done()]:
                self._waiting = []
                every = [text for texts, _ in waiting for text in texts]
                try:
                    rows = iter(await asyncio.to_thread(self._tokenizer.encode, every))
                except Exception as error:  # every caller who waits is told; the next texts are read
                    for _, answer in waiting:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                for texts, answer in waiting:
                    ids = [next(rows) for _ in texts]
                    if not answer.done():
                        answer.set_result(ids)
        finally:
            self._reading = None
