"""Histories to profiles, and candidates to scores: the two graphs that run for each request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.probabilities import limit_total
from portrait.features.histories.history_arrays import MAX_ENCODED_SLOTS, HistoryArrays, pad_histories
from portrait.server.batching.batcher import Batcher
from portrait.server.batching.shapes import Shapes
from portrait.server.inference.triton import AHEAD, TritonModels
from portrait.server.release.release import Release
from portrait.server.triton.inference_client import Arrays

T = TypeVar("T", bound=np.generic)

HISTORIES = Shapes(
    lengths=(8, 16, 32, MAX_ENCODED_SLOTS),
    rows=tuple(range(1, 33)),
    budget=32 * MAX_ENCODED_SLOTS,
    overhead=0,
    min_fill_when_busy=0.0,
)
"""Batches of histories, by numbers of slots."""
RANKINGS = Shapes(
    lengths=(16, 64, 128, 256, 384, 512, 1024, 2112),
    rows=tuple(range(1, 65)),
    budget=4096,
    overhead=0,
    min_fill_when_busy=0.0,
)
"""Batches of rankings, by numbers of candidates: all sources together fit 512."""
QUEUE = 2_000
"""Histories, and rankings, that may be unanswered at one time."""


class ProfileEncoder:
    """Encodes histories with the release's `profile_encoder`."""

    def __init__(self, models: TritonModels, release: Release) -> None:
        self._models, self._dimension = models, release.dimension
        self.batcher: Batcher[_History, NDArray[np.float32]] = Batcher(
            self._run,
            lambda history: len(history.embeddings),
            HISTORIES,
            concurrency=1 + AHEAD,
            limit=QUEUE,
            name="profile_encoder",
        )

    async def encode(
        self, embeddings: NDArray[np.float32], arrays: HistoryArrays, deadline: float | None
    ) -> NDArray[np.float32]:
        """`[dimension]`, unit length.

        Args:
            embeddings: `[slots, dimension]`, slots as many as in `arrays`, at least one.
            arrays: the slots' other features.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        return await self.batcher.submit(_History(embeddings, arrays), deadline)

    async def _run(
        self, histories: Sequence["_History"], length: int, deadline: float | None
    ) -> list[NDArray[np.float32]]:
        embeddings = np.zeros((len(histories), length, self._dimension), dtype=np.float32)
        for row, history in enumerate(histories):
            embeddings[row, length - len(history.embeddings) :] = history.embeddings
        arrays = pad_histories([history.arrays for history in histories], length)
        inputs = {"event_embedding": embeddings, **vars(arrays)}
        shapes = {"profile": (len(histories), self._dimension)}
        return list((await self._models.run("profile_encoder", inputs, shapes, deadline))["profile"])


@dataclass(frozen=True, slots=True)
class _History:
    embeddings: NDArray[np.float32]
    arrays: HistoryArrays


@dataclass(frozen=True, slots=True)
class Scores:
    """The ranker's outputs, each `[candidates]`; the probabilities of `click` sum to 1 at most."""

    score: NDArray[np.float32]
    click: NDArray[np.float32]
    purchase: NDArray[np.float32]


class Ranker:
    """Scores candidates with the release's `ranker`."""

    def __init__(self, models: TritonModels) -> None:
        self._models = models
        self.batcher: Batcher[_Candidates, Scores] = Batcher(
            self._run,
            lambda candidates: len(candidates.features),
            RANKINGS,
            concurrency=1 + AHEAD,
            limit=QUEUE,
            name="ranker",
        )

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
        if not len(vectors):
            nothing = np.zeros(0, dtype=np.float32)
            return Scores(nothing, nothing, nothing)
        return await self.batcher.submit(
            _Candidates(profile, query, vectors @ profile, vectors @ query, features), deadline
        )

    async def _run(self, rankings: Sequence["_Candidates"], width: int, deadline: float | None) -> list[Scores]:
        inputs: Arrays = {
            "profile": np.stack([each.profile for each in rankings]),
            "query_embedding": np.stack([each.query for each in rankings]),
            "profile_similarity": _pad([each.profile_similarity for each in rankings], width),
            "query_similarity": _pad([each.query_similarity for each in rankings], width),
            "candidate_features": _pad([each.features for each in rankings], width),
            "mask": _pad([np.ones(len(each.features), dtype=np.int64) for each in rankings], width),
        }
        shapes = dict.fromkeys(("score", "click", "purchase"), (len(rankings), width))
        answer = await self._models.run("ranker", inputs, shapes, deadline)
        return [
            _limit(Scores(**{name: values[row, : len(each.features)] for name, values in answer.items()}))
            for row, each in enumerate(rankings)
        ]


def _limit(scores: Scores) -> Scores:
    """Let the probabilities of all candidates sum to 1 at most."""
    total = np.asarray(scores.click.sum())
    return Scores(scores.score, limit_total(scores.click, total), limit_total(scores.purchase, total))


@dataclass(frozen=True, slots=True)
class _Candidates:
    profile: NDArray[np.float32]
    query: NDArray[np.float32]
    profile_similarity: NDArray[np.float32]
    query_similarity: NDArray[np.float32]
    features: NDArray[np.float32]


def _pad(parts: Sequence[NDArray[T]], width: int) -> NDArray[T]:
    """`[parts, width, …]`, zeros behind each part's own rows."""
    padded = np.zeros((len(parts), width, *parts[0].shape[1:]), dtype=parts[0].dtype)
    for row, part in enumerate(parts):
        padded[row, : len(part)] = part
    return padded
