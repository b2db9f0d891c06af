"""Inverse document frequency of words in a catalogue's texts."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from portrait.features.events import Item
from portrait.features.text.keywords import extract_keywords
from portrait.features.text.normalisation import item_text


@dataclass(frozen=True)
class InverseDocumentFrequency:
    """Smoothed inverse document frequencies, `log((1 + documents) / (1 + frequency))` (Spärck Jones 1972).

    Computed once a release: a long history asks for those of thousands of words.
    """

    by_stem: Mapping[str, float]
    """By stem."""
    unseen: float
    """IDF of a stem that no text holds, the rarest."""

    @classmethod
    def from_counts(cls, documents: int, frequencies: Mapping[str, int]) -> "InverseDocumentFrequency":
        """From counts.

        Args:
            documents: number of texts in the catalogue.
            frequencies: in how many of them each stem occurs.
        """
        known = {stem: math.log((1 + documents) / (1 + frequency)) for stem, frequency in frequencies.items()}
        return cls(known, math.log(1 + documents))


def count_document_frequencies(items: Iterable[Item]) -> tuple[int, dict[str, int]]:
    """Count the distinct texts of items, and the texts in which each stem occurs."""
    texts = {item_text(item) for item in items}
    frequencies: Counter[str] = Counter()
    for text in texts:
        frequencies.update({keyword.stem for keyword in extract_keywords(text)})
    return len(texts), dict(frequencies)
