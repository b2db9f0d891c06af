"""Concept erasure of declared attributes: no linear function of a profile predicts them any more.

It is fitted once the encoders are trained, becomes the last step of the profile encoder, and so of the exported
graph, and the ranker then learns from erased profiles. Nothing else is erased: neither histories, nor associations,
nor what a non-linear model reads in a profile.
"""

from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from portrait.training.dataset import tables
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.encoders import retrieval
from portrait.training.encoders.concept_eraser import ConceptEraser
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.retrieval import TargetVectors
from portrait.training.enums import Demographic
from portrait.training.errors import TrainingError

MIN_SHOPPERS = 20
"""A value that fewer shoppers declared stays as it is: the mean of their profiles says more of them than of it."""
UNDECLARED = -1
MAX_PROFILES_PER_SHOPPER = 8
"""Profiles of a shopper that a concealment is fitted on."""

_ROUNDS = 100
_MIN_SPREAD = 1e-3
"""Directions in which profiles differ less than this share of their widest spread count as so wide."""
_RANK_TOLERANCE = 1e-6


def read_declared_values(data: Path, corpus: Corpus, attributes: tuple[Demographic, ...]) -> NDArray[np.int64]:
    """`[attributes, shoppers]`: number of the value that each shopper declared, `UNDECLARED` for none or a rare one.

    Raises:
        TrainingError: too few shoppers declared an attribute for it to be erased, or the table is missing or broken.
    """
    path = data / "shoppers.parquet"
    columns = ["shopper_id", *(attribute.value for attribute in attributes)]
    try:
        table = tables.read_table(data, "shoppers", {column: tables.SHOPPER_COLUMNS[column] for column in columns})
    except TrainingError as error:
        raise TrainingError(f"{path} does not say what shoppers declared: {error}") from error
    order = pl.DataFrame({"shopper_id": corpus.shopper_ids})
    aligned = order.join(table, on="shopper_id", how="left", maintain_order="left")
    return np.array([_encode_values(aligned[attribute.value], path) for attribute in attributes], dtype=np.int64)


def _encode_values(values: pl.Series, path: Path) -> NDArray[np.int64]:
    counts = values.drop_nulls().value_counts().filter(pl.col("count") >= MIN_SHOPPERS)
    known = sorted(counts[values.name].to_list())
    if len(known) < 2:
        raise TrainingError(
            f"{values.name} can't be erased: two values of it must be declared by {MIN_SHOPPERS} shoppers each, "
            f"and {path} holds {len(known)} such"
        )
    codes = {value: code for code, value in enumerate(known)}
    return np.array([codes.get(value, UNDECLARED) for value in values.to_list()], dtype=np.int64)


def erase_concepts(
    model: PortraitModel, cache: TextCache, corpus: Corpus, holdout: Holdout, values: NDArray[np.int64]
) -> None:
    """Fit a concept eraser and make it the last step of a model's profile encoder.

    Args:
        model: the encoders, trained; without an eraser.
        cache: the corpus' texts.
        corpus: the events.
        holdout: which of them training may learn from.
        values: `[attributes, shoppers]`, as `read_declared_values` gives them.

    Raises:
        TrainingError: profiles have too few dimensions.
    """
    vectors = sample_profiles(model, cache, corpus, holdout)
    model.profile.eraser = fit_eraser(
        vectors.profiles, values[:, corpus.event_shopper[vectors.targets]], model.subspaces
    ).to(model.device)


def sample_profiles(model: PortraitModel, cache: TextCache, corpus: Corpus, holdout: Holdout) -> TargetVectors:
    """Encode up to `MAX_PROFILES_PER_SHOPPER` profiles of each shopper, evenly spaced over the later half of events.

    The mean profile of a value is then that of its shoppers over a time, and holds for others and later better than
    one of single moments.
    """
    events = holdout.learnt(corpus)
    shoppers = np.split(events, np.flatnonzero(np.diff(corpus.event_shopper[events])) + 1)
    later = [own[len(own) // 2 :] for own in shoppers]
    chosen = [own[np.unique(np.linspace(0, len(own) - 1, MAX_PROFILES_PER_SHOPPER).astype(np.int64))] for own in later]
    return retrieval.encode_targets(model, cache, corpus, np.concatenate(chosen))


def fit_eraser(profiles: NDArray[np.float32], values: NDArray[np.int64], subspaces: int) -> ConceptEraser:
    """Fit the eraser after which all values of an attribute have one mean profile.

    No linear classifier then does better than a constant one on these profiles, and no linear map that does so moves
    vectors less on average: LEACE, by Belrose et al. 2023 ("LEACE: Perfect linear concept erasure in closed form").
    Theirs is for vectors that are used as they come. Here each subspace is made unit length after the map, which moves
    the means apart again. So profiles, with a one appended whose weights become the offset, are divided by the lengths
    that the last round left them with, until those stay as they are.

    Args:
        profiles: `[profiles, dimension]`.
        values: `[attributes, profiles]`, `UNDECLARED` where an attribute does not count.
        subspaces: equal parts of a profile.

    Raises:
        TrainingError: the attributes have as many values as a subspace has dimensions.
    """
    vectors = np.hstack([profiles, np.ones((len(profiles), 1))])
    width = profiles.shape[1] // subspaces
    if (count := sum(len(np.unique(row[row != UNDECLARED])) for row in values)) >= width:
        raise TrainingError(f"{count} declared values can't be erased in subspaces of {width} dimensions; take fewer")
    parts = []
    for subspace in range(subspaces):
        lengths = np.ones(len(vectors))
        for _ in range(_ROUNDS):
            part = _fit_projection(vectors / lengths[:, None], values)[subspace * width : (subspace + 1) * width]
            lengths = np.linalg.norm(vectors @ part.T, axis=1)
        parts.append(part)
    whole = torch.from_numpy(np.concatenate(parts)).float()
    eraser = ConceptEraser(profiles.shape[1], subspaces)
    eraser.get_buffer("matrix").copy_(whole[:, :-1])
    eraser.get_buffer("offset").copy_(whole[:, -1])
    return eraser


def _fit_projection(vectors: NDArray[np.float64], values: NDArray[np.int64]) -> NDArray[np.float64]:
    """`I − W⁻¹UUᵀW`, W whitening the vectors and U an orthonormal basis of what tells the values apart, whitened."""
    apart = np.stack([difference for row in values for difference in _mean_differences(vectors, row)], 1)
    variance, axes = np.linalg.eigh(vectors.T @ vectors / len(vectors))
    spread = np.sqrt(np.maximum(variance, _MIN_SPREAD**2 * variance.max()))
    whiten, colour = axes / spread @ axes.T, axes * spread @ axes.T
    basis, size, _ = np.linalg.svd(whiten @ apart, full_matrices=False)
    basis = basis[:, size > _RANK_TOLERANCE * size[0]]
    projection: NDArray[np.float64] = np.eye(len(axes)) - colour @ basis @ basis.T @ whiten
    return projection


def _mean_differences(vectors: NDArray[np.float64], values: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """Mean of the vectors of each value, less the mean of all that have one."""
    mean = vectors[values != UNDECLARED].mean(0)
    known = np.unique(values[values != UNDECLARED])
    return [vectors[values == value].mean(0) - mean for value in known]
