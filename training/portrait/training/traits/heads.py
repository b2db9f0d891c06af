"""Heads of the profile model: profiles and statistics of histories to the probabilities of traits."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class HeadShape:
    """Inputs and layers of a head."""

    profile: bool
    """True if it reads the profile beside the statistics."""
    hidden: int
    """Width of its hidden layer, 0 for a linear head."""


class TraitHead(nn.Module):
    """The logit of one trait.

    Args:
        dimension: length of profiles.
        columns: the statistics that it reads.
        shape: what it is made of.
        dropout: share of activations dropped in training.
    """

    def __init__(self, dimension: int, columns: Sequence[int], shape: HeadShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("columns", torch.tensor(list(columns)))
        inputs = len(columns) + (dimension if shape.profile else 0)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.register_buffer("slope", torch.ones(()))
        self.register_buffer("offset", torch.zeros(()))
        self.layers = (
            nn.Sequential(nn.Linear(inputs, shape.hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(shape.hidden, 1))
            if shape.hidden
            else nn.Sequential(nn.Linear(inputs, 1))
        )

    def inputs(self, profile: Tensor, statistics: Tensor) -> Tensor:
        """`[n, dimension]` and `[n, statistics]` → `[n, inputs]`, not standardised."""
        read = statistics[:, self.get_buffer("columns")]
        return torch.cat([read, profile], -1) if self.shape.profile else read

    def raw(self, inputs: Tensor) -> Tensor:
        """`[n, inputs]` → `[n]`, the logit before calibration."""
        standardised = (inputs - self.get_buffer("mean")) / self.get_buffer("spread")
        logits: Tensor = self.layers(standardised)
        return logits.squeeze(-1)

    def forward(self, profile: Tensor, statistics: Tensor) -> Tensor:
        """`[n, dimension]` and `[n, statistics]` → `[n]`, the calibrated logit."""
        raw = self.raw(self.inputs(profile, statistics))
        return raw * self.get_buffer("slope") + self.get_buffer("offset")


class TraitHeads(nn.Module):
    """All heads as one graph."""

    def __init__(self, heads: Sequence[TraitHead]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, profile: Tensor, statistics: Tensor) -> Tensor:
        """Probabilities of the traits.

        Args:
            profile: `[n, dimension]`.
            statistics: `[n, len(STATISTICS)]`.

        Returns:
            `probability [n, traits]`.
        """
        return torch.sigmoid(torch.stack([head(profile, statistics) for head in self.heads], -1))
