"""Pairs of texts that belong together, from what shoppers did and from what a catalogue says.

Each kind of pair teaches the text encoder something else:

query      a search, and the item that it led to
next       the item of the event before a target's moment, and the target's item
together   two items of one moment, such as the lines of a basket
described  a title, and the category, brand and attributes beside it

A pair of events belongs to its later event, so that pairs of training events hold nothing that was held out.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.events import Item
from portrait.features.text.normalisation import item_text, normalise_text
from portrait.training.dataset.corpus import NO_ITEM, Corpus

_MAX_SHARING, _MIN_SHARING_ITEMS = 0.01, 10
"""A description that more than this share of the items have, and more items than this, is in no pair: with the one
category of a small shop, all titles would learn to be alike."""


@dataclass(frozen=True)
class TextPairs:
    """Distinct pairs of texts."""

    texts: list[str]
    """Those of the corpus, then those that only a catalogue's pairs have."""
    anchor: NDArray[np.int64]
    """`[pairs]`: row of the first text."""
    positive: NDArray[np.int64]
    """`[pairs]`: row of the text that belongs to it."""
    probability: NDArray[np.float64]
    """`[pairs]`: how often a step draws each pair."""

    def __len__(self) -> int:
        return len(self.anchor)

    @cached_property
    def related(self) -> sparse.csr_array:
        """`[texts, texts]`: whether two texts form a pair, in either order, or are the same."""
        size, ones = len(self.texts), np.ones(len(self))
        pairs = sparse.csr_array((ones, (self.anchor, self.positive)), shape=(size, size))
        return (pairs + pairs.T + sparse.eye_array(size, format="csr")).astype(bool).tocsr()

    @cached_property
    def is_anchor(self) -> NDArray[np.bool_]:
        """`[texts]`: whether a text is the first one of a pair."""
        return np.bincount(self.anchor, minlength=len(self.texts)) > 0

    @cached_property
    def is_positive(self) -> NDArray[np.bool_]:
        """`[texts]`: whether a text is the second one of a pair."""
        return np.bincount(self.positive, minlength=len(self.texts)) > 0

    def draw(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Draw distinct pairs, at most as many as there are."""
        # The largest keys are a weighted sample without replacement (Efraimidis and Spirakis 2006).
        keys = np.log(random.random(len(self))) / self.probability
        count = min(count, len(self))
        return np.sort(np.argpartition(-keys, count - 1)[:count]) if count else np.empty(0, dtype=np.int64)


def build_text_pairs(corpus: Corpus, targets: NDArray[np.int64]) -> TextPairs:
    """Build the pairs that a training may learn from.

    Each kind that a log has is drawn equally often, and within it a pair by the root of its count, so that popular
    items do not fill every step.

    Args:
        corpus: events and catalogue.
        targets: events with an item that training may learn from, ascending.
    """
    described, extra = _describe_items(corpus)
    kinds = [_pair_queries(corpus, targets), _pair_moments(corpus, targets), _pair_baskets(corpus, targets), described]
    size = len(corpus.texts) + len(extra)
    weights = sum((_weigh_kind(kind, size) for kind in kinds), start=sparse.csr_array((size, size)))
    pairs = sparse.coo_array(weights)
    anchor, positive = pairs.coords
    return TextPairs(
        [*corpus.texts, *extra], anchor.astype(np.int64), positive.astype(np.int64), pairs.data / pairs.data.sum()
    )


def _weigh_kind(pairs: NDArray[np.int64], size: int) -> sparse.csr_array:
    """Return `[texts, texts]` weights of the pairs of one kind, which add up to 1 if there are any."""
    pairs = pairs[:, pairs[0] != pairs[1]]
    counts = sparse.csr_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(size, size))
    counts.sum_duplicates()
    roots = np.sqrt(counts)
    return roots / max(1.0, float(roots.sum()))


def _pair_queries(corpus: Corpus, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    searched = targets[corpus.event_search[targets] >= 0]
    return np.stack([corpus.event_text[corpus.event_search[searched]], corpus.event_text[searched]])


def _pair_moments(corpus: Corpus, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    last = corpus.context_end[targets] - 1
    known = last >= corpus.shopper_start[targets]
    known[known] = corpus.event_item[last[known]] != NO_ITEM
    return np.stack([corpus.event_text[last[known]], corpus.event_text[targets[known]]])


def _pair_baskets(corpus: Corpus, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    before = targets - 1
    same = before >= corpus.context_end[targets]
    same[same] = corpus.event_item[before[same]] != NO_ITEM
    return np.stack([corpus.event_text[before[same]], corpus.event_text[targets[same]]])


def _describe_items(corpus: Corpus) -> tuple[NDArray[np.int64], list[str]]:
    """Pair the title of each item with what else its catalogue says of it; return the pairs and the new texts."""
    titles = [item_text(Item(item.item_id, item.title)) for item in corpus.items]
    said = [_describe(item) for item in corpus.items]
    shared = Counter(said)
    most = max(_MIN_SHARING_ITEMS, _MAX_SHARING * len(said))
    rows = {text: row for row, text in enumerate(corpus.texts)}
    pairs = [
        [rows.setdefault(text, len(rows)) for text in (title, description)]
        for title, description in zip(titles, said, strict=True)
        if title and description and shared[description] <= most and description.casefold() not in title.casefold()
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T, list(rows)[len(corpus.texts) :]


def _describe(item: Item) -> str:
    """Join what the catalogue says of an item beside its title."""
    parts = [*item.category_path, item.brand, *item.attributes.values()]
    return normalise_text(", ".join(part for part in parts if part))
