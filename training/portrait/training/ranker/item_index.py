"""The item index: what a release says of each item of the catalogue, newcomers among them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from portrait.features.candidates.candidate_features import popularity_scale
from portrait.features.candidates.cold_start import Lenders, with_lent
from portrait.training.dataset.corpus import Corpus
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.retrieval import embed_texts, encode_items


@dataclass(frozen=True)
class ItemIndex:
    """Items by row."""

    vectors: NDArray[np.float32]
    """`[items, dimension]`, unit length."""
    popularity: NDArray[np.float32]
    """`[items]`, 0 to 1; of a is_cold, its lenders' mean."""
    is_cold: NDArray[np.bool_]
    """`[items]`: whether training had no event of it."""
    lenders: Lenders
    """Neighbours of each item; a known item is its own."""


def build_item_index(
    model: PortraitModel,
    cache: TextCache,
    corpus: Corpus,
    item_counts: NDArray[np.float64],
    simulated_cold: NDArray[np.int64] | None = None,
) -> ItemIndex:
    """The index of a trained model.

    Args:
        model: the encoders.
        cache: the corpus' texts.
        corpus: items.
        item_counts: `[items]`, how often each occurs among the training events.
        simulated_cold: rows of known items that are to look like newcomers.
    """
    is_cold = item_counts == 0
    if simulated_cold is not None:
        is_cold[simulated_cold] = True
    vectors, popularity = encode_items(model, cache, corpus), popularity_scale(item_counts)
    rows = np.flatnonzero(is_cold)
    words = embed_texts(model, cache).numpy()[corpus.item_text[rows]]
    lent = Lenders.nearest(words, vectors, ~is_cold)
    vectors[rows] = with_lent(words, lent, vectors, model.subspaces)
    popularity[rows] = lent.mean(popularity)
    lenders = Lenders.themselves(np.arange(len(is_cold)))
    lenders.rows[rows], lenders.shares[rows] = lent.rows, lent.shares
    return ItemIndex(vectors, popularity, is_cold, lenders)


def fill_cold_residuals(
    model: PortraitModel, cache: TextCache, corpus: Corpus, item_counts: NDArray[np.float64]
) -> None:
    """Make the model's residuals of newcomers what their lenders lend, for events of newcomers in histories."""
    index = build_item_index(model, cache, corpus, item_counts)
    rows = np.flatnonzero(index.is_cold)
    lent = index.lenders.take(rows).mean(index.vectors) * np.float32(model.subspaces**0.5)
    with torch.no_grad():
        model.residual.weight[torch.from_numpy(rows)] = torch.from_numpy(lent)
