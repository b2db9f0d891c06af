"""Sentence vectors of items: what their words mean in general language, as far as a shop's own space forgets it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Item
from portrait.features.text.normalisation import normalise_text


def list_fields(item: Item) -> list[str]:
    """List an item's title, its whole category path, and its brand with its attributes; fields without words left out.

    Each is encoded by itself, so that a long one does not drown the title.
    """
    others = [item.brand or "", *(value for _, value in sorted(item.attributes.items()))]
    fields = [item.title, ", ".join(item.category_path), ", ".join(filter(None, others))]
    return [text for text in map(normalise_text, fields) if text]


def average_fields(embeddings: NDArray[np.float32], counts: Sequence[int]) -> NDArray[np.float32]:
    """Average the sentence embeddings of each item's fields: `[fields, hidden]` → `[items, hidden]`, unit length.

    Args:
        embeddings: of unit length, the fields of the first item first.
        counts: number of fields of each item; one without any gets zeros.
    """
    sums = np.zeros((len(counts), embeddings.shape[1]), dtype=np.float32)
    np.add.at(sums, np.repeat(np.arange(len(counts)), counts), embeddings)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.divide(sums, lengths, out=sums, where=lengths > 0)
