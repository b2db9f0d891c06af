"""A ranker of gradient-boosted trees (LightGBM) over what Portrait's ranker reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from portrait.training.encoders.retrieval import TargetVectors
from portrait.training.ranker.candidates import Candidates
from portrait.training.ranker.ranking import RankerSamples

_MAX_TREES, _PATIENCE = 500, 30
GRID = [
    {"objective": objective, "num_leaves": leaves, "learning_rate": 0.05, "min_data_in_leaf": 100}
    for objective in ("lambdarank", "rank_xendcg")
    for leaves in (7, 15, 31, 63)
]


@dataclass(frozen=True)
class FittedTrees:
    """The trees with the settings that were best on later targets."""

    booster: lightgbm.Booster
    settings: dict[str, Any]
    trees: int
    tried: list[dict[str, Any]]
    """All settings, with NDCG@10 of the later targets."""

    def score(self, vectors: TargetVectors, candidates: Candidates, texts: Tensor) -> NDArray[np.float32]:
        """`[targets, candidates]`: scores, -inf for what serving would not rank."""
        scores = np.full(candidates.items.shape, -np.inf, dtype=np.float32)
        for rows in np.array_split(np.arange(len(scores)), max(1, len(scores) // 256)):
            shown = np.zeros_like(candidates.shown)
            shown[rows] = candidates.shown[rows]
            inputs = join_inputs(vectors, candidates, texts, rows)
            scores[shown] = self.booster.predict(inputs, num_iteration=self.trees)
        return scores


def fit_trees(samples: RankerSamples, seed: int) -> FittedTrees:
    """Fit trees to the earlier targets with each of the settings of `GRID`; the later ones stop and choose.

    Args:
        samples: the moments that Portrait's ranker is fitted to, with their candidates.
        seed: of LightGBM.
    """
    early, late = (_make_data(samples, rows) for rows in samples.split())
    tried: list[dict[str, Any]] = []
    boosters = []
    for settings in GRID:
        fixed = {"metric": "ndcg", "eval_at": [10], "seed": seed, "deterministic": True, "verbosity": -1}
        stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
        booster = lightgbm.train({**settings, **fixed}, early, _MAX_TREES, [late], callbacks=[stop])
        boosters.append(booster)
        tried.append({**settings, "trees": booster.best_iteration, "ndcg": booster.best_score["valid_0"]["ndcg@10"]})
    best = int(np.argmax([each["ndcg"] for each in tried]))
    return FittedTrees(boosters[best], GRID[best], tried[best]["trees"], tried)


def join_inputs(
    vectors: TargetVectors, candidates: Candidates, texts: Tensor, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """`[shown candidates of all rows, inputs]`: candidate features, cosines of profile and query, and which there are.

    Args:
        vectors: vectors of profiles and items.
        candidates: candidates of all targets.
        texts: `[texts, dimension]`, embeddings of the corpus' texts.
        rows: indices of the targets.
    """
    return np.concatenate(list(_join_each(vectors, candidates, texts.numpy(), rows)))


def _join_each(
    vectors: TargetVectors, candidates: Candidates, texts: NDArray[np.float32], rows: NDArray[np.int64]
) -> Iterator[NDArray[np.float32]]:
    for row in rows.tolist():
        shown = candidates.shown[row]
        items = vectors.items[candidates.items[row, shown]]
        fit = items @ vectors.profiles[row]
        query = candidates.query[row]
        nearness = items @ texts[query] if query >= 0 else np.zeros_like(fit)
        yield np.column_stack([candidates.features[row, shown], fit, nearness])


def _make_data(samples: RankerSamples, rows: NDArray[np.int64]) -> lightgbm.Dataset:
    candidates = samples.candidates
    rows = rows[(candidates.together[rows] & candidates.shown[rows]).any(1)]
    labels = np.concatenate([candidates.together[row, candidates.shown[row]] for row in rows.tolist()])
    sizes = candidates.shown[rows].sum(1)
    inputs = join_inputs(samples.vectors, candidates, samples.texts, rows)
    weights = np.repeat(samples.weights[rows], sizes)
    return lightgbm.Dataset(inputs, labels.astype(np.int32), group=sizes, weight=weights, free_raw_data=False)
