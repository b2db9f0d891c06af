"""Profiles to the probabilities of traits: the graph that only releases with traits have."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.release.layout import TRAIT_HEADS
from portrait.server.batching.batcher import Batcher
from portrait.server.batching.shapes import Shapes
from portrait.server.inference.encoders import QUEUE
from portrait.server.inference.triton import AHEAD, TritonModels

PROFILES = Shapes(lengths=(1,), rows=tuple(range(1, 65)), budget=64, overhead=0, min_fill_when_busy=0.0)
"""Batches of profiles; they have no length."""


@dataclass(frozen=True, slots=True)
class _TraitInput:
    profile: NDArray[np.float32]
    statistics: NDArray[np.float32]


class TraitHeads:
    """Asks the release's `trait_heads`.

    Args:
        models: the graphs.
        traits: how many the graph gives.
    """

    def __init__(self, models: TritonModels, traits: int) -> None:
        self._models, self._traits = models, traits
        self.batcher: Batcher[_TraitInput, NDArray[np.float32]] = Batcher(
            self._run, lambda _: 1, PROFILES, concurrency=1 + AHEAD, limit=QUEUE, name="trait_heads"
        )

    async def probabilities(
        self, profile: NDArray[np.float32], statistics: NDArray[np.float32], deadline: float | None
    ) -> NDArray[np.float32]:
        """`[traits]`.

        Args:
            profile: `[dimension]`.
            statistics: `[len(STATISTICS)]`.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        return await self.batcher.submit(_TraitInput(profile, statistics), deadline)

    async def _run(self, known: Sequence[_TraitInput], _: int, deadline: float | None) -> list[NDArray[np.float32]]:
        inputs = {
            "profile": np.stack([each.profile for each in known]),
            "statistics": np.stack([each.statistics for each in known]),
        }
        shapes = {"probability": (len(known), self._traits)}
        return list((await self._models.run(TRAIT_HEADS, inputs, shapes, deadline))["probability"])
