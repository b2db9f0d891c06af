"""Towers: equal parts of every vector, each compared by itself.

A model of several towers is an ensemble that costs serving nothing but longer vectors: the inner product of two
vectors is the mean of their towers' cosines.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from portrait.training.encoders.profile_encoder import ProfileEncoder


def normalise_subspaces(vectors: Tensor, towers: int) -> Tensor:
    """`[…, dimension]` → the same shape: each tower of one length, the whole of length one."""
    return functional.normalize(split_subspaces(vectors, towers), dim=-1).flatten(-2) * towers**-0.5


def split_subspaces(vectors: Tensor, towers: int) -> Tensor:
    """`[…, dimension]` → `[…, towers, dimension / towers]`."""
    return vectors.unflatten(-1, (towers, -1))


class SubspaceProfileEncoder(nn.Module):
    """A profile encoder for each tower; see `ProfileEncoder` for shapes and arguments.

    Args:
        towers: how many.
        dimension: length of event embeddings and profiles, over all towers.
        layers: number of blocks of each.
        heads: attention heads of a block.
        dropout: share of activations dropped in training.
    """

    def __init__(self, towers: int, dimension: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.towers = nn.ModuleList(ProfileEncoder(dimension // towers, layers, heads, dropout) for _ in range(towers))

        self.concealment: nn.Module | None = None
        """The last step, if profiles shall conceal something; see `Concealment`."""

    def _encoders(self) -> list[ProfileEncoder]:
        return cast(list[ProfileEncoder], list(self.towers))

    def states(
        self, event_embedding: Tensor, event_type: Tensor, event_age: Tensor, event_numbers: Tensor, mask: Tensor
    ) -> Tensor:
        """What each event and those before it say: `[n, events, dimension]`."""
        count = len(self.towers)
        embeddings = split_subspaces(event_embedding * count**0.5, count).unbind(-2)
        parts = [
            tower.states(embedding, event_type, event_age, event_numbers, mask)
            for tower, embedding in zip(self._encoders(), embeddings, strict=True)
        ]
        return torch.cat(parts, -1)

    def head(self, states: Tensor, gap: Tensor) -> Tensor:
        """Profiles after an event, `[…, dimension]`, unit length."""
        count = len(self.towers)
        parts = zip(self._encoders(), split_subspaces(states, count).unbind(-2), strict=True)
        profile = torch.cat([tower.head(part, gap) for tower, part in parts], -1) * count**-0.5
        return profile if self.concealment is None else self.concealment(profile)

    def forward(
        self, event_embedding: Tensor, event_type: Tensor, event_age: Tensor, event_numbers: Tensor, mask: Tensor
    ) -> Tensor:
        """The profile at the moment from which the ages count back, `[n, dimension]`, unit length."""
        states = self.states(event_embedding, event_type, event_age, event_numbers, mask)
        return self.head(states[:, -1], event_age[:, -1])
