"""The baselines: each is tuned on validation, then fitted for its protocol.

Linear models come from RecTools; their item-to-item matrices are applied here to histories that count recent events
more, which the library can't do and which decides their quality.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from implicit.nearest_neighbours import BM25Recommender
from numpy.typing import NDArray
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel, ImplicitItemKNNWrapperModel
from scipy import sparse

from benchmarks.common.ranking.protocol import RankingTask
from portrait.training.baselines.protocol import Scorer
from portrait.training.dataset.corpus import Corpus
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.encoders.model import TextCache
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.enums import DEFAULT_BASE_MODEL

_SCORER_SETTINGS = {"decay", "own", "popularity"}
"""Settings that only the scorer depends on, not the preparation."""
DECAYS = (0.5, 0.6, 0.7, 0.8, 1.0)


@dataclass(frozen=True)
class Baseline:
    """A model, and the grid of settings that it is tuned over."""

    name: str
    grid: Callable[[], Iterator[dict[str, Any]]]
    prepare: Callable[[RankingTask, dict[str, Any]], Any]
    """Costly preparation, shared by settings that differ in `_SCORER_SETTINGS` only."""
    scorer: Callable[[RankingTask, Any, dict[str, Any]], Scorer]

    def tuned(self, task: RankingTask) -> tuple[dict[str, Any], list[dict[str, Any]], Scorer]:
        """Return the settings with the best validation NDCG@10, all that were tried, and the scorer of the best."""
        tried = []
        best: tuple[float, dict[str, Any], Scorer] | None = None
        prepared_for, prepared = None, None
        for settings in self.grid():
            costly = {name: value for name, value in settings.items() if name not in _SCORER_SETTINGS}
            if prepared is None or costly != prepared_for:
                prepared_for, prepared = costly, self.prepare(task, costly)
            scorer = self.scorer(task, prepared, settings)
            value = task.validate(scorer)
            tried.append(settings | {"validation NDCG@10": round(value, 4)})
            if best is None or value > best[0]:
                best = value, tried[-1], scorer
        assert best is not None
        return best[1], tried, best[2]

    def fitted(self, task: RankingTask, settings: dict[str, Any]) -> Scorer:
        """Fit the model with given settings."""
        return self.scorer(task, self.prepare(task, settings), settings)


def _score_by_popularity(task: RankingTask, _: Any, __: dict[str, Any]) -> Scorer:
    counts = task.holdout.item_counts.astype(np.float32)
    return lambda targets: np.repeat(counts[None], len(targets), 0)


def _score_linearly(task: RankingTask, weights: Any, settings: dict[str, Any]) -> Scorer:
    """Score by item-to-item weights applied to histories that count recent events more."""

    def score(targets: NDArray[np.int64]) -> NDArray[np.float32]:
        scores = task.contexts(targets, settings["decay"]) @ weights
        return np.asarray(scores.todense() if sparse.issparse(scores) else scores, dtype=np.float32)

    return score


def _fit_knn(task: RankingTask, settings: dict[str, Any]) -> sparse.csr_matrix:
    """Fit the similarity of items with BM25-weighted shoppers; plain cosine overrates items that co-occurred once."""
    neighbours = BM25Recommender(K=settings["neighbours"], K1=settings["k1"], B=settings["b"], num_threads=2)
    model = ImplicitItemKNNWrapperModel(neighbours)
    model.fit(_make_dataset(task))
    similarity = model.model.similarity.tocsr()
    similarity.setdiag(0.0)
    return similarity


def _fit_ease(task: RankingTask, settings: dict[str, Any]) -> NDArray[np.float32]:
    model = EASEModel(regularization=settings["ridge"])
    model.fit(_make_dataset(task))
    return np.asarray(model.weight, dtype=np.float32)


def _score_by_own_history(task: RankingTask, _: Any, settings: dict[str, Any]) -> Scorer:
    """Score by the shopper's own earlier items, recent ones more; popularity fills up."""
    share = (settings["popularity"] * task.holdout.item_counts / task.holdout.item_counts.sum()).astype(np.float32)
    return lambda targets: np.asarray(task.contexts(targets, settings["decay"]).todense()) + share


def _score_linearly_with_own(task: RankingTask, weights: NDArray[np.float32], settings: dict[str, Any]) -> Scorer:
    """Score by item-to-item weights, with one more weight from each item to itself."""
    return _score_linearly(task, weights + settings["own"] * np.eye(len(weights), dtype=np.float32), settings)


def _make_dataset(task: RankingTask) -> Dataset:
    """Make a RecTools data set of the training events with every item, so that rows keep their numbers."""
    matrix = task.interactions().tocoo()
    items = len(task.corpus.items)
    # One made-up shopper touches every item with weight 0: RecTools numbers only what occurs.
    frame = pd.DataFrame(
        {
            Columns.User: np.concatenate([np.full(items, -1), matrix.row]),
            Columns.Item: np.concatenate([np.arange(items), matrix.col]),
            Columns.Weight: np.concatenate([np.zeros(items, dtype=np.float32), matrix.data]),
            Columns.Datetime: pd.Timestamp("2000-01-01"),
        }
    )
    return Dataset.construct(frame)


def _score_zero_shot(task: RankingTask, vectors: NDArray[np.float32], settings: dict[str, Any]) -> Scorer:
    return lambda targets: (task.contexts(targets, settings["decay"]) @ vectors) @ vectors.T


def _encode_titles(task: RankingTask, _: dict[str, Any]) -> NDArray[np.float32]:
    """Encode items to `[items, hidden]` with the base model before any training."""
    pooled = encode_untrained(task.corpus)[task.corpus.item_text]
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def encode_untrained(corpus: Corpus) -> NDArray[np.float32]:
    """Encode texts to `[texts, hidden]` with the base model, mean-pooled, before any training."""
    encoder = TextEncoder(DEFAULT_BASE_MODEL, 1).eval()
    cache = TextCache(encoder, load_tokenizer(DEFAULT_BASE_MODEL), corpus.texts)
    with torch.no_grad():
        cache.recompute()
    return cache.pooled.numpy()


def _grid_of(**values: tuple[Any, ...]) -> Callable[[], Iterator[dict[str, Any]]]:
    """Make a grid of every combination, the last name varying fastest."""
    names = list(values)

    def grid() -> Iterator[dict[str, Any]]:
        shape = [len(values[name]) for name in names]
        for index in np.ndindex(*shape):
            yield {name: values[name][place] for name, place in zip(names, index, strict=True)}

    return grid


BASELINES = (
    Baseline("popularity", _grid_of(), lambda task, settings: None, _score_by_popularity),
    Baseline("zero-shot MiniLM", _grid_of(decay=DECAYS), _encode_titles, _score_zero_shot),
    Baseline(
        "ItemKNN, recency",
        _grid_of(neighbours=(100, 1000), k1=(0.3, 1.2), b=(0.25, 0.5), decay=(0.6, 0.7, 0.8)),
        _fit_knn,
        _score_linearly,
    ),
    Baseline("EASE, recency", _grid_of(ridge=(50.0, 100.0, 250.0), decay=(0.6, 0.7, 0.8)), _fit_ease, _score_linearly),
)

_SLOW_DECAYS = (0.95, 0.97, 0.98, 0.99)
"""Decays for returning shoppers: items of a hundred events ago still count."""

RETURNING_BASELINES = (
    BASELINES[0],
    Baseline(
        "own history, recency",
        _grid_of(popularity=(0.3, 3.0, 30.0, 100.0), decay=(0.9, *_SLOW_DECAYS, 0.995)),
        lambda task, settings: None,
        _score_by_own_history,
    ),
    Baseline(
        "EASE, recency", _grid_of(ridge=(50.0, 250.0, 1000.0), decay=(0.8, *_SLOW_DECAYS)), _fit_ease, _score_linearly
    ),
    Baseline(
        "EASE, recency, and own history",
        _grid_of(ridge=(250.0, 1000.0, 4000.0), own=(0.2, 0.4, 0.8, 1.6), decay=_SLOW_DECAYS),
        _fit_ease,
        _score_linearly_with_own,
    ),
)
"""Baselines for logs in which shoppers return to known items, and known items are ranked."""
