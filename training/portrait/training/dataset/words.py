"""The words of items' texts, weighted by how much they distinguish."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from scipy import sparse

from portrait.features.text.normalisation import normalise_text
from portrait.features.text.segmentation import split_words
from portrait.training.dataset.corpus import Corpus


def weigh_words(corpus: Corpus) -> sparse.csr_matrix:
    """Weigh the words of each item's text by TF-IDF, `[items, words]`, rows of unit length (Salton & Buckley 1988).

    The weight of a word that a text holds n times is `(1 + ln n) ln(items / items with it)`. A word of one item alone
    is left out, as it compares with nothing.
    """
    # Many items of a shop share a text: each text is split once.
    texts, item_text, sharing = np.unique(corpus.item_text, return_inverse=True, return_counts=True)
    counted = [Counter(_split(corpus.texts[text])) for text in texts.tolist()]
    frequency: Counter[str] = Counter()
    for words, items in zip(counted, sharing.tolist(), strict=True):
        frequency.update(dict.fromkeys(words, items))
    column = {word: place for place, word in enumerate(word for word, count in frequency.items() if count > 1)}
    entries = [
        (row, column[word], (1.0 + np.log(count)) * np.log(len(item_text) / frequency[word]))
        for row, words in enumerate(counted)
        for word, count in words.items()
        if word in column
    ]
    if not entries:
        return sparse.csr_matrix((len(item_text), 1), dtype=np.float32)
    rows, columns, values = (np.array(each) for each in zip(*entries, strict=True))
    weights = sparse.csr_matrix((values, (rows, columns)), shape=(len(texts), len(column)), dtype=np.float32)
    norms = np.sqrt(np.asarray(weights.multiply(weights).sum(1)).ravel())
    normalised = sparse.diags(1.0 / np.where(norms > 0, norms, 1.0)) @ weights
    return normalised.tocsr().astype(np.float32)[item_text]


def _split(text: str) -> Iterable[str]:
    return (word.casefold() for word in split_words(normalise_text(text)))
