"""Subspaces: equal parts of every vector, each compared by itself.

A model of several subspaces is an ensemble that costs serving nothing but longer vectors: the inner product of two
vectors is the mean of their subspaces' cosines.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from portrait.training.encoders.profile_encoder import ProfileEncoder


def normalise_subspaces(vectors: Tensor, subspaces: int) -> Tensor:
    """Normalise `[…, dimension]` → the same shape: all subspaces have equal length, the whole has length one."""
    return functional.normalize(split_subspaces(vectors, subspaces), dim=-1).flatten(-2) * subspaces**-0.5


def split_subspaces(vectors: Tensor, subspaces: int) -> Tensor:
    """Split `[…, dimension]` → `[…, subspaces, dimension / subspaces]`."""
    return vectors.unflatten(-1, (subspaces, -1))


class SubspaceProfileEncoder(nn.Module):
    """A profile encoder for each subspace; see `ProfileEncoder` for shapes and arguments.

    Args:
        subspaces: number of subspaces.
        dimension: length of event embeddings and profiles, over all subspaces.
        layers: number of blocks of each.
        heads: attention heads of a block.
        dropout: share of activations dropped in training.
    """

    def __init__(self, subspaces: int, dimension: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            ProfileEncoder(dimension // subspaces, layers, heads, dropout) for _ in range(subspaces)
        )

        self.eraser: nn.Module | None = None
        """Last step of the profile encoder if the run erases concepts (`ConceptEraser`), else None."""

    def _encoders(self) -> list[ProfileEncoder]:
        return cast(list[ProfileEncoder], list(self.encoders))

    def states(
        self, event_embedding: Tensor, event_type: Tensor, event_age: Tensor, event_numbers: Tensor, mask: Tensor
    ) -> Tensor:
        """Encode each event together with those before it: `[n, events, dimension]`."""
        count = len(self.encoders)
        embeddings = split_subspaces(event_embedding * count**0.5, count).unbind(-2)
        parts = [
            subspace.states(embedding, event_type, event_age, event_numbers, mask)
            for subspace, embedding in zip(self._encoders(), embeddings, strict=True)
        ]
        return torch.cat(parts, -1)

    def head(self, states: Tensor, gap: Tensor) -> Tensor:
        """Profiles after an event, `[…, dimension]`, unit length."""
        count = len(self.encoders)
        parts = zip(self._encoders(), split_subspaces(states, count).unbind(-2), strict=True)
        profile = torch.cat([subspace.head(part, gap) for subspace, part in parts], -1) * count**-0.5
        return profile if self.eraser is None else self.eraser(profile)

    def forward(
        self, event_embedding: Tensor, event_type: Tensor, event_age: Tensor, event_numbers: Tensor, mask: Tensor
    ) -> Tensor:
        """The profile at the moment from which the ages count back, `[n, dimension]`, unit length."""
        states = self.states(event_embedding, event_type, event_age, event_numbers, mask)
        return self.head(states[:, -1], event_age[:, -1])
