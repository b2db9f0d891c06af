"""Texts as tokens: the tokenizer of a release, with padding and truncation frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from portrait.features.files.atomic_write import atomic_write

MAX_TOKENS = 64
"""A text is cut after this many tokens, special tokens included: titles and queries are shorter."""
_HEAD_CHARACTERS = 6 * MAX_TOKENS
"""Number of characters of a long text that are read first: to read all of it takes several times as long."""


@dataclass(frozen=True)
class TokenBatch:
    """Token ids of texts, padded on the right to one length; both `[texts, tokens]`."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]


class TextTokenizer:
    """Turns texts into token ids. Safe to call from several threads: its settings never change."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        padding = tokenizer.padding or {}
        self._pad_id = int(padding.get("pad_id", 0))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path) -> "TextTokenizer":
        """Read a `tokenizer.json`."""
        return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))

    def save(self, path: Path) -> None:
        """Write a `tokenizer.json`."""
        with atomic_write(path) as temporary:
            temporary.write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest token id."""
        return 1 + max(self._tokenizer.get_vocab().values(), default=-1)

    def knows_word(self, word: str) -> bool:
        """Tell whether the vocabulary has a word as one token, which common words are.

        Args:
            word: in lower case.
        """
        return self._tokenizer.token_to_id(word) is not None

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, unpadded, at most `MAX_TOKENS`. Releases the GIL while it works."""
        heads = [_cut_head(text) for text in texts]
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(heads)]
        # No token spans white space: where the first words fill all places, the others change nothing.
        short = [
            place
            for place, (text, head) in enumerate(zip(texts, heads, strict=True))
            if len(head) < len(text) and len(ids[place]) < MAX_TOKENS
        ]
        for place, encoding in zip(short, self._tokenizer.encode_batch([texts[each] for each in short]), strict=True):
            ids[place] = encoding.ids
        return ids

    def unknown_token_share(self, texts: Sequence[str]) -> float:
        """Share of the tokens of some texts that the vocabulary does not know; they all read alike."""
        named = getattr(self._tokenizer.model, "unk_token", None)
        unknown = None if named is None else self._tokenizer.token_to_id(named)
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ids = [token for encoding in encodings for token in encoding.ids]
        return sum(token == unknown for token in ids) / max(1, len(ids))

    def pad(self, rows: Sequence[Sequence[int]], length: int | None = None) -> TokenBatch:
        """Pad rows of token ids on the right, to `length` or to the longest of them."""
        width = length or max(map(len, rows), default=0)
        input_ids = np.full((len(rows), width), self._pad_id, dtype=np.int64)
        attention_mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            input_ids[index, : len(row)] = row
            attention_mask[index, : len(row)] = 1
        return TokenBatch(input_ids, attention_mask)


def _cut_head(text: str) -> str:
    """The first words of a long text, which nearly always fill `MAX_TOKENS`; all of a shorter one."""
    if len(text) <= 2 * _HEAD_CHARACTERS:
        return text
    end = text.rfind(" ", 0, _HEAD_CHARACTERS)
    return text[:end] if end > 0 else text
