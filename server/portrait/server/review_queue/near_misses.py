"""Sensitive near misses: categories that no word tells to be of a topic, but whose items resemble those of one.

Items resemble each other if the same shoppers come to both, or if their texts do. So an interest in such a category may
tell what the topic would tell.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.server.release.release import Release
from portrait.server.sensitivity.matcher import Path
from portrait.server.sensitivity.release_topics import PROFILE_USES, ReleaseTopics

_CHUNK_ITEMS = 1 << 13
"""Items that are looked at in one step, so that other threads answer requests meanwhile."""
_MIN_ITEMS = 3
"""The centre of fewer items of a topic, or the mean of fewer items of a category, says little."""
_NEAR = 0.5
"""Share of the median similarity of the topic's own items from which a category is near to it."""

Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A category near to a topic."""

    path: Path
    topic: str
    similarity: float
    """Mean cosine of the topic's centre and the category's items that are of no withheld topic."""
    threshold: float
    """Median cosine of the topic's centre and its own items."""


def find_near_misses(release: Release, topics: ReleaseTopics) -> list[NearMiss]:
    """Find the categories near to a topic that is withheld from profiles; each is listed for the nearest one.

    Args:
        release: has the items, and their vectors.
        topics: of its items.
    """
    withheld = topics.policy.find_withheld(PROFILE_USES, 0)
    names, is_of = _list_topics(topics, withheld)
    if not names:
        return []
    vectors = _CentredVectors(release.vectors)
    centres, thresholds = _find_centres(vectors, is_of)
    sums, counts = _sum_by_path(vectors, release, topics.of_items & np.uint64(withheld) == 0)
    found = []
    for path, codes in _list_nodes(release).items():
        count = int(counts[codes].sum())
        if count < _MIN_ITEMS or topics.judge_path(path) & withheld:
            continue
        similarities = centres @ sums[codes].sum(0) / count
        nearest = int(np.argmax(similarities / thresholds))
        if similarities[nearest] >= _NEAR * thresholds[nearest]:
            found.append(NearMiss(path, names[nearest], float(similarities[nearest]), float(thresholds[nearest])))
    return found


class _CentredVectors:
    """The directions in which items differ from the mean item: all have a large part in common.

    Args:
        vectors: `[items, dimension]`, unit length.
    """

    def __init__(self, vectors: NDArray[np.floating[Any]]) -> None:
        self.shape = vectors.shape
        self._vectors = vectors
        self._mean = sum(part.sum(0, dtype=np.float32) for _, part in self._read()) / max(1, len(vectors))

    def __iter__(self) -> Iterator[tuple[slice, Vectors]]:
        """Yield rows, and their vectors without the mean, of unit length."""
        for rows, part in self._read():
            yield rows, _normalise(part - self._mean)

    def _read(self) -> Iterator[tuple[slice, Vectors]]:
        for begin in range(0, len(self._vectors), _CHUNK_ITEMS):
            rows = slice(begin, begin + _CHUNK_ITEMS)
            yield rows, np.asarray(self._vectors[rows], dtype=np.float32)


def _list_topics(topics: ReleaseTopics, withheld: int) -> tuple[list[str], Mask]:
    """List the withheld topics with enough items; and `[items, topics]`, the items of each."""
    places = [place for place in range(len(topics.policy.topics)) if withheld >> place & 1]
    columns = [topics.of_items >> np.uint64(place) & np.uint64(1) == 1 for place in places]
    is_of = np.array(columns, dtype=np.bool_).reshape(len(places), len(topics.of_items)).T
    told = is_of.sum(0) >= _MIN_ITEMS
    names = [*topics.policy.topics]
    return [names[place] for place, has_items in zip(places, told, strict=True) if has_items], is_of[:, told]


def _find_centres(vectors: _CentredVectors, is_of: Mask) -> tuple[Vectors, Vectors]:
    """`[topics, dimension]`, `[topics]`: the direction of the mean of a topic's items; their median cosine with it."""
    sums = np.zeros((is_of.shape[1], vectors.shape[1]), dtype=np.float32)
    for rows, part in vectors:
        sums += is_of[rows].T.astype(np.float32) @ part
    centres = _normalise(sums)
    cosines = np.concatenate([part @ centres.T for _, part in vectors])
    medians = np.array([np.median(cosines[is_of[:, nth], nth]) for nth in range(len(centres))])
    return centres, np.where(medians > 0.0, medians, np.inf)  # nothing is near to items that have nothing in common


def _sum_by_path(vectors: _CentredVectors, release: Release, counted: Mask) -> tuple[Vectors, NDArray[np.int64]]:
    """`[paths, dimension]`, `[paths]`: sum and number of the items of each code of a path that count."""
    codes = release.items.columns.path
    sums = np.zeros((len(release.items.codes.paths), vectors.shape[1]), dtype=np.float32)
    for rows, part in vectors:
        of, part = codes[rows][counted[rows]], part[counted[rows]]
        order = np.argsort(of, kind="stable")
        present, begins = np.unique(of[order], return_index=True)
        if len(present):
            sums[present] += np.add.reduceat(part[order], begins)
    return sums, np.bincount(codes[counted], minlength=len(sums))


def _list_nodes(release: Release) -> Mapping[Path, list[int]]:
    """List the nodes of the taxonomy, each with the codes of the paths in and below it."""
    nodes: dict[Path, list[int]] = defaultdict(list)
    for code, path in enumerate(release.items.codes.paths):
        for depth in range(1, len(path) + 1):
            nodes[path[:depth]].append(code)
    return nodes


def _normalise(vectors: Vectors) -> Vectors:
    """Return vectors of unit length; a vector without a direction stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0.0, lengths, 1.0), dtype=np.float32)
