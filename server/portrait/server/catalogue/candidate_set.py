"""Items as the ranker sees them: from a catalogue's rows, or described by their words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.cold_start import ColdStartNeighbours, blend_neighbours
from portrait.features.candidates.history_summary import NO_GROUP
from portrait.features.events import DEFAULT_CATALOGUE, Item
from portrait.features.items.item_table import fold_brand
from portrait.features.search.item_words import ItemWords
from portrait.server.catalogue.numbers import number_value
from portrait.server.release.release import Release


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """Items as the ranker sees them; all of one length."""

    items: Sequence[Item]
    """May be made only when they are asked for."""
    numbers: NDArray[np.int64]
    """`[items]`: their numbers in a snapshot, as `Snapshot.number_items` gives them; `NO_GROUP` where none did."""
    vectors: NDArray[np.float32]
    """`[items, dimension]`."""
    categories: NDArray[np.int64]
    """`[items]`: numbers of their category paths, as `number_value` gives them."""
    brands: NDArray[np.int64]
    """`[items]`: numbers of their brands."""
    statistics: NDArray[np.float32]
    """`[items, len(ITEM_STATISTICS)]`."""
    is_cold: NDArray[np.bool_]
    """True for a cold item: the release has no event of it."""
    neighbours: ColdStartNeighbours
    percentile: NDArray[np.float64]
    """Price percentile in the item's category, NaN if unknown."""
    read_words: Callable[[], ItemWords]
    """Finds their words, which only searches and changes of a catalogue ask for."""
    sentences: NDArray[np.float32] | None = None
    """`[items, hidden]`, their sentence vectors; None in the default catalogue, which has none."""

    @property
    def item_ids(self) -> list[str]:
        """Ids of the items, all of which are made."""
        return [item.item_id for item in self.items]

    def take(self, places: NDArray[np.int64]) -> "CandidateSet":
        """Some of these."""
        return CandidateSet(
            [self.items[place] for place in places.tolist()],
            self.numbers[places],
            self.vectors[places],
            self.categories[places],
            self.brands[places],
            self.statistics[places],
            self.is_cold[places],
            self.neighbours.select(places),
            self.percentile[places],
            lambda: self.read_words().select(places),
            None if self.sentences is None else self.sentences[places],
        )

    def joined(self, other: "CandidateSet") -> "CandidateSet":
        """These and others after them."""
        return CandidateSet(
            [*self.items, *other.items],
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.vectors, other.vectors]),
            np.concatenate([self.categories, other.categories]),
            np.concatenate([self.brands, other.brands]),
            np.concatenate([self.statistics, other.statistics]),
            np.concatenate([self.is_cold, other.is_cold]),
            self.neighbours.concatenate(other.neighbours),
            np.concatenate([self.percentile, other.percentile]),
            lambda: self.read_words().concatenate(other.read_words()),
            _join(self.sentences, other.sentences),
        )


def _join(some: NDArray[np.float32] | None, others: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if some is None or others is None else np.concatenate([some, others])


def candidates_from_text(
    release: Release,
    catalogue: str,
    items: Sequence[Item],
    words: NDArray[np.float32],
    sentences: NDArray[np.float32] | None = None,
) -> CandidateSet:
    """Build candidates from item texts and from behaviour: the items' own, or else that of their cold-start neighbours.

    A known item lends to itself, so that it stays itself under new words. In other catalogues than the default one
    nobody lends.

    Args:
        release: what is known.
        catalogue: the items'.
        items: some items, of the release or not.
        words: `[items, dimension]`, embeddings of their texts.
        sentences: `[items, hidden]`, their sentence vectors; None in the default catalogue.
    """
    if catalogue == DEFAULT_CATALOGUE:
        rows = np.array([release.items.row(catalogue, item.item_id) for item in items], dtype=np.int64)
    else:
        rows = np.full(len(items), -1, dtype=np.int64)
    is_cold = (rows < 0) | release.is_cold[rows]
    neighbours = ColdStartNeighbours.of_known_items(np.where(is_cold, -1, rows))
    if catalogue == DEFAULT_CATALOGUE:
        nearest = release.find_neighbours(words[is_cold])
        neighbours.rows[is_cold], neighbours.weights[is_cold] = nearest.rows, nearest.weights
    codes, found_words = release.items.codes, ItemWords.from_items(items)
    return CandidateSet(
        list(items),
        np.full(len(items), NO_GROUP, dtype=np.int64),
        blend_neighbours(words, neighbours, release.vectors, release.manifest.subspaces),
        np.array([number_value(codes.paths, item.category_path) for item in items], dtype=np.int64),
        np.array([number_value(codes.brands, fold_brand(item.brand)) for item in items], dtype=np.int64),
        neighbours.average(release.statistics),
        is_cold,
        neighbours,
        np.array([release.price_scale.percentile(item.category_path, item.price) for item in items], dtype=np.float64),
        lambda: found_words,
        sentences,
    )
