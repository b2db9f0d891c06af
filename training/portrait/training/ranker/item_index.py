"""The item index: vectors, statistics and neighbours of every item of a release, cold items included."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from portrait.features.candidates.cold_start import ColdStartNeighbours, blend_neighbours
from portrait.training.dataset.corpus import Corpus
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.retrieval import embed_texts, encode_items


@dataclass(frozen=True)
class ItemIndex:
    """Items by row."""

    vectors: NDArray[np.float32]
    """`[items, dimension]`, unit length."""
    statistics: NDArray[np.float32]
    """`[items, len(ITEM_STATISTICS)]`; of a cold item, the mean of its neighbours."""
    is_cold: NDArray[np.bool_]
    """`[items]`: whether training had no event of it."""
    neighbours: ColdStartNeighbours
    """Neighbours of each item; a known item is its own."""


def build_item_index(
    model: PortraitModel,
    cache: TextCache,
    corpus: Corpus,
    item_counts: NDArray[np.float64],
    statistics: NDArray[np.float32],
    simulated_cold: NDArray[np.int64] | None = None,
) -> ItemIndex:
    """The index of a trained model.

    Args:
        model: the encoders.
        cache: the corpus' texts.
        corpus: items.
        item_counts: `[items]`, how often each occurs among the training events.
        statistics: `[items, len(ITEM_STATISTICS)]`, of the training events.
        simulated_cold: rows of known items that are to look like cold items.
    """
    is_cold = item_counts == 0
    if simulated_cold is not None:
        is_cold[simulated_cold] = True
    vectors, statistics = encode_items(model, cache, corpus), statistics.copy()
    rows = np.flatnonzero(is_cold)
    # Many items of a shop share a text: each text is looked for once.
    texts, item_text = np.unique(corpus.item_text[rows], return_inverse=True)
    text_vectors = embed_texts(model, cache).numpy()[texts]
    neighbours = ColdStartNeighbours.find_nearest(text_vectors, vectors, ~is_cold).select(item_text)
    words = text_vectors[item_text]
    vectors[rows] = blend_neighbours(words, neighbours, vectors, model.subspaces)
    statistics[rows] = neighbours.average(statistics)
    blended = ColdStartNeighbours.of_known_items(np.arange(len(is_cold)))
    blended.rows[rows], blended.weights[rows] = neighbours.rows, neighbours.weights
    return ItemIndex(vectors, statistics, is_cold, blended)


def fill_cold_residuals(
    model: PortraitModel, cache: TextCache, corpus: Corpus, item_counts: NDArray[np.float64]
) -> None:
    """Set the residuals of cold items to their neighbours' mean, for events of cold items in histories."""
    unused = np.zeros((len(item_counts), 0), dtype=np.float32)
    index = build_item_index(model, cache, corpus, item_counts, unused)
    rows = np.flatnonzero(index.is_cold)
    neighbours = index.neighbours.select(rows).average(index.vectors) * np.float32(model.subspaces**0.5)
    with torch.no_grad():
        model.residual.weight[torch.from_numpy(rows)] = torch.from_numpy(neighbours)
