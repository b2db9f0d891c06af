"""Selection of a trait's head by validation, and its calibration on validation as well."""

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from portrait.features.histories.statistics import RFM, STATISTICS
from portrait.training import metrics
from portrait.training.traits.heads import HeadShape, TraitHead
from portrait.training.traits.samples import HeadInputs

_SHAPES = tuple(itertools.starmap(HeadShape, itertools.product((False, True), (0, 32))))
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Ridge penalties of a linear head that are tried."""
_DECAYS = (1e-2, 1e-1)
"""Weight decays of a head with a hidden layer that are tried."""
_EPOCHS, _PATIENCE, _BATCH = 30, 3, 512


@dataclass(frozen=True)
class LabelledInputs:
    """Samples of one part of the schedule, as heads read them."""

    known: HeadInputs
    label: NDArray[np.bool_]
    corrected: NDArray[np.float32] | None = None
    """`[samples]`: probabilities that are learnt in place of labels, NaN where the label counts; None for labels only.
    Metrics and calibration compare with labels, so only a part that is not measured may have any."""

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Profiles, statistics, labels as probabilities."""
        label = self.label.astype(np.float32)
        if self.corrected is not None:
            label = np.where(np.isnan(self.corrected), label, self.corrected)
        return torch.from_numpy(self.known.profile), torch.from_numpy(self.known.statistics), torch.from_numpy(label)


@dataclass(frozen=True)
class FittedHead:
    """A head and what validation said of it."""

    head: TraitHead
    regularisation: float
    """Ridge or weight decay."""
    log_loss: float
    """Log loss on validation, after calibration."""


def fit_heads(train: LabelledInputs, validation: LabelledInputs, dimension: int, seed: int) -> list[FittedHead]:
    """Heads of all shapes, the best by validation first."""
    columns = range(len(STATISTICS))
    fitted = [
        _fit_head(shape, columns, regularisation, train, validation, dimension, seed)
        for shape in _SHAPES
        for regularisation in (_DECAYS if shape.hidden else _RIDGES)
    ]
    return sorted(fitted, key=lambda each: each.log_loss)


def fit_rfm_baseline(train: LabelledInputs, validation: LabelledInputs, seed: int) -> FittedHead:
    """The baseline: a logistic regression on recency, frequency and monetary value, tuned and calibrated alike."""
    return fit_linear_head([STATISTICS.index(name) for name in RFM], train, validation, seed)


def fit_linear_head(columns: Sequence[int], train: LabelledInputs, validation: LabelledInputs, seed: int) -> FittedHead:
    """The logistic regression on some columns of the statistics that validation likes best."""
    fitted = [_fit_head(HeadShape(False, 0), columns, ridge, train, validation, 0, seed) for ridge in _RIDGES]
    return min(fitted, key=lambda each: each.log_loss)


def predict_probabilities(head: TraitHead, known: HeadInputs) -> NDArray[np.float64]:
    """`[samples]`, calibrated."""
    with torch.no_grad():
        logits = head(torch.from_numpy(known.profile), torch.from_numpy(known.statistics))
    return torch.sigmoid(logits.double()).numpy()


def _fit_head(
    shape: HeadShape,
    columns: Sequence[int],
    regularisation: float,
    train: LabelledInputs,
    validation: LabelledInputs,
    dimension: int,
    seed: int,
) -> FittedHead:
    torch.manual_seed(seed)
    head = TraitHead(dimension, columns, shape, dropout=0.2)
    profile, statistics, label = train.tensors()
    inputs = head.inputs(profile, statistics)
    head.get_buffer("mean").copy_(inputs.mean(0))
    head.get_buffer("spread").copy_(inputs.std(0).clamp(min=1e-6))
    if shape.hidden:
        _train_hidden(head, inputs, label, validation, regularisation, seed)
    else:
        _train_linear(head, inputs, label, regularisation)
    calibrate_head(head.eval(), validation)
    found = predict_probabilities(head, validation.known)
    return FittedHead(head, regularisation, metrics.log_loss(found, validation.label, np.ones(len(found))))


def _train_linear(head: TraitHead, inputs: Tensor, label: Tensor, ridge: float) -> None:
    """Ridge logistic regression by L-BFGS."""
    weight = head.layers[0].get_parameter("weight")
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
    solver = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = functional.binary_cross_entropy_with_logits(head.raw(inputs), label) + ridge * weight.square().sum()
        value.backward()
        return value

    solver.step(loss)


def _train_hidden(
    head: TraitHead, inputs: Tensor, label: Tensor, validation: LabelledInputs, decay: float, seed: int
) -> None:
    """AdamW, with the weights of the epoch that validation likes best."""
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=decay)
    random = torch.Generator().manual_seed(seed)
    profile, statistics, held_out = validation.tensors()
    best, kept, since = float("inf"), copy.deepcopy(head.state_dict()), 0
    for _ in range(_EPOCHS):
        head.train()
        for rows in torch.randperm(len(label), generator=random).split(_BATCH):
            optimiser.zero_grad()
            functional.binary_cross_entropy_with_logits(head.raw(inputs[rows]), label[rows]).backward()
            optimiser.step()
        head.eval()
        with torch.no_grad():
            loss = float(functional.binary_cross_entropy_with_logits(head(profile, statistics), held_out))
        since += 1
        if loss < best:
            best, kept, since = loss, copy.deepcopy(head.state_dict()), 0
        if since == _PATIENCE:
            break
    head.load_state_dict(kept)


def calibrate_head(head: TraitHead, part: LabelledInputs) -> None:
    """Slope and offset of the logit that fit the labels of a part best.

    Platt 1999 ("Probabilistic outputs for support vector machines"), section 2.2, with his smoothed targets.
    """
    profile, statistics, label = part.tensors()
    with torch.no_grad():
        raw = head.raw(head.inputs(profile, statistics)).double()
    positives = float(label.sum())
    target = torch.where(label > 0, (positives + 1) / (positives + 2), 1 / (len(label) - positives + 2)).double()
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = functional.binary_cross_entropy_with_logits(raw * line[0] + line[1], target)
        value.backward()
        return value

    solver.step(loss)
    head.get_buffer("slope").copy_(line.detach()[0])
    head.get_buffer("offset").copy_(line.detach()[1])
