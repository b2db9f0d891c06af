"""Histories to profiles, and candidates to scores: the two graphs that run for each request."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories import ENCODED_EVENTS, HistoryArrays, pad
from portrait.server.inference.batcher import Batcher
from portrait.server.inference.texts import bucket
from portrait.server.inference.triton import TritonModels
from portrait.server.releases import Release

EVENTS = (8, 16, 32, ENCODED_EVENTS)
"""Numbers of events that histories are padded to."""
CANDIDATES = (16, 64, 256, 1024)
"""Numbers of candidates that rankings are padded to."""
LARGEST_BATCH = 32
QUEUE = 2_000


@dataclass(frozen=True, slots=True)
class _History:
    embeddings: NDArray[np.float32]
    arrays: HistoryArrays


class ProfileEncoder:
    """Encodes histories with the release's `profile_encoder`."""

    def __init__(self, models: TritonModels, release: Release) -> None:
        self._models, self._dimension = models, release.dimension
        self.batcher: Batcher[_History, NDArray[np.float32]] = Batcher(
            self._run, lambda items: min(len(items), LARGEST_BATCH), concurrency=2, limit=QUEUE
        )

    async def encode(
        self, embeddings: NDArray[np.float32], arrays: HistoryArrays, deadline: float | None
    ) -> NDArray[np.float32]:
        """`[dimension]`, unit length.

        Args:
            embeddings: `[events, dimension]`, events as many as in `arrays`, at least one.
            arrays: the events' other features.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        return await self.batcher.submit(_History(embeddings, arrays), deadline)

    async def _run(self, histories: Sequence[_History], deadline: float | None) -> list[NDArray[np.float32]]:
        length = bucket(max(len(history.embeddings) for history in histories), EVENTS)
        embeddings = np.zeros((len(histories), length, self._dimension), dtype=np.float32)
        for row, history in enumerate(histories):
            embeddings[row, length - len(history.embeddings) :] = history.embeddings
        arrays = pad([history.arrays for history in histories], length)
        inputs = {"event_embedding": embeddings, **vars(arrays)}
        shapes = {"profile": (len(histories), self._dimension)}
        return list((await self._models.run("profile_encoder", inputs, shapes, deadline))["profile"])


@dataclass(frozen=True)
class Scores:
    """What the ranker says of candidates, each `[candidates]`."""

    score: NDArray[np.float32]
    click: NDArray[np.float32]
    purchase: NDArray[np.float32]


class Ranker:
    """Scores candidates with the release's `ranker`."""

    def __init__(self, models: TritonModels) -> None:
        self._models = models

    async def score(
        self,
        profile: NDArray[np.float32],
        query: NDArray[np.float32],
        vectors: NDArray[np.float32],
        features: NDArray[np.float32],
        deadline: float | None,
    ) -> Scores:
        """Score one request's candidates.

        Args:
            profile: `[dimension]`, zeros for nobody.
            query: `[dimension]`, zeros without a query.
            vectors: `[candidates, dimension]`.
            features: `[candidates, len(CANDIDATE_FEATURES)]`.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        count = len(vectors)
        if not count:
            nothing = np.zeros(0, dtype=np.float32)
            return Scores(nothing, nothing, nothing)
        width = bucket(count, CANDIDATES)
        inputs = {
            "profile": profile[None],
            "query_embedding": query[None],
            "candidate_embedding": _padded(vectors, width)[None],
            "candidate_features": _padded(features, width)[None],
        }
        answer = await self._models.run(
            "ranker", inputs, dict.fromkeys(("score", "click", "purchase"), (1, width)), deadline
        )
        return Scores(**{name: value[0, :count] for name, value in answer.items()})


def _padded(rows: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    padded = np.zeros((length, rows.shape[1]), dtype=np.float32)
    padded[: len(rows)] = rows
    return padded
