"""Concept eraser: the last step of a profile encoder from which declared attributes are erased."""

import torch
from torch import Tensor, nn

from portrait.training.encoders.subspaces import normalise_subspaces


class ConceptEraser(nn.Module):
    """A linear map and an offset, then unit length per subspace again; `concept_erasure` fits it.

    Args:
        dimension: length of profiles.
        subspaces: equal parts of them.
    """

    def __init__(self, dimension: int, subspaces: int) -> None:
        super().__init__()
        self.subspaces = subspaces
        self.register_buffer("matrix", torch.eye(dimension))
        self.register_buffer("offset", torch.zeros(dimension))

    def forward(self, profile: Tensor) -> Tensor:
        """`[…, dimension]` → the same shape, unit length."""
        return normalise_subspaces(profile @ self.get_buffer("matrix").T + self.get_buffer("offset"), self.subspaces)
