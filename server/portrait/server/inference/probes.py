"""Probes: the smallest real inference of each graph, which tells whether it works."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.histories.history_arrays import EVENT_NUMBERS
from portrait.features.histories.statistics import STATISTICS
from portrait.features.release.layout import TRAIT_HEADS

_TOKENS, _EVENTS, _CANDIDATES = 16, 8, 16
"""Lengths that the gateway pads to, so that no runtime compiles a shape for a probe alone."""


@dataclass(frozen=True)
class Probe:
    """One row of inputs of a graph."""

    inputs: Mapping[str, NDArray[np.generic]]
    outputs: Mapping[str, tuple[int, ...]]
    """The shape that each output must have."""


def probes(dimension: int, sentence_dimension: int, traits: int) -> dict[str, Probe]:
    """Make a probe for each graph of a release.

    Args:
        dimension: length of its vectors.
        sentence_dimension: length of its sentence embeddings.
        traits: how many its `trait_heads` gives; 0 if it has none.
    """
    vector = np.zeros((1, dimension), dtype=np.float32)
    vector[0, 0] = 1.0  # of unit length, as all vectors
    made = {
        "text_encoder": Probe(
            {name: np.ones((1, _TOKENS), dtype=np.int64) for name in ("input_ids", "attention_mask")},
            {"embedding": (1, dimension), "sentence_embedding": (1, sentence_dimension)},
        ),
        "profile_encoder": Probe(
            {
                "event_embedding": np.repeat(vector[:, None], _EVENTS, axis=1),
                "event_type": np.ones((1, _EVENTS), dtype=np.int64),
                "event_age": _zeros(_EVENTS),
                "event_numbers": _zeros(_EVENTS, len(EVENT_NUMBERS)),
                "mask": np.ones((1, _EVENTS), dtype=np.int64),
            },
            {"profile": (1, dimension)},
        ),
        "ranker": Probe(
            {
                "profile": vector,
                "query_embedding": vector,
                "profile_similarity": _zeros(_CANDIDATES),
                "query_similarity": _zeros(_CANDIDATES),
                "candidate_features": _zeros(_CANDIDATES, len(CANDIDATE_FEATURES)),
                "mask": np.ones((1, _CANDIDATES), dtype=np.int64),
            },
            dict.fromkeys(("score", "click", "purchase"), (1, _CANDIDATES)),
        ),
    }
    if traits:
        made[TRAIT_HEADS] = Probe(
            {"profile": vector, "statistics": _zeros(len(STATISTICS))}, {"probability": (1, traits)}
        )
    return made


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros((1, *shape), dtype=np.float32)
