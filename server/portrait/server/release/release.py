"""A release in memory: all that the gateway needs of it beside the graphs that Triton serves."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES, RANKER_INPUTS
from portrait.features.candidates.cold_start import MAX_NEIGHBOURS, ColdStartNeighbours
from portrait.features.candidates.item_pairs import ItemPairs
from portrait.features.candidates.item_statistics import POPULARITY
from portrait.features.candidates.relations import Relations
from portrait.features.candidates.sources import order_by_popularity
from portrait.features.events import DEFAULT_CATALOGUE, Event
from portrait.features.histories.history_arrays import EVENT_NUMBERS
from portrait.features.histories.statistics import STATISTICS
from portrait.features.items.item_table import ItemTable, map_array
from portrait.features.items.prices import PriceScale
from portrait.features.population.population import Population
from portrait.features.population.profile_distribution import ProfileDistribution, read_profile_distribution
from portrait.features.release import layout as release_layout
from portrait.features.release.manifest import Manifest, ReleaseError, read_verified_manifest
from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import ItemIndex
from portrait.features.search.flat import FlatIndex
from portrait.features.search.indexed_rows import IndexedRows
from portrait.features.search.item_index import open_index
from portrait.features.search.row_bitmap import RowBitmap
from portrait.features.search.scan import ScanIndex
from portrait.features.search.word_index import WordIndex
from portrait.features.text.idf import InverseDocumentFrequency
from portrait.features.text.tokenizer import TextTokenizer
from portrait.server.release.checks import (
    check_index,
    check_neighbours,
    check_profiles,
    check_relations,
    check_statistics,
    check_vectors,
    check_words,
)
from portrait.server.release.traits import Trait, declared

T = TypeVar("T")

_TOLD_CHARACTERS = 300


OpenIndex = Callable[["Release"], ItemIndex]
"""Opens the index of a release that is checked."""


@dataclass(frozen=True)
class Release:
    """A release that `portrait export` wrote, checked and loaded."""

    number: int
    manifest: Manifest
    tokenizer: TextTokenizer
    items: ItemTable
    words: WordIndex
    """Finds the items that a query's words describe."""
    vectors: NDArray[np.float32]
    """`[items, dimension]`, unit length; float16 of many items."""
    index: ScanIndex | None
    """Finds the nearest of many items; None where all are compared, or another process searches."""
    sentence_vectors: NDArray[np.float32]
    """`[rows_with_sentences, hidden]`, unit length: for catalogues of which training knows no query."""
    statistics: NDArray[np.float32]
    """`[items, len(ITEM_STATISTICS)]`; of a cold item, the mean of its neighbours."""
    neighbours: ColdStartNeighbours
    """The cold-start neighbours of each item."""
    relations: Relations
    """Matrices that say where items lead, by row."""
    price_scale: PriceScale
    rarity: InverseDocumentFrequency
    """Rarity of the words of its items."""
    pairs: ItemPairs | None = None
    """Complements and substitutes; None in a release of an earlier version."""
    population: Population | None = None
    """Statistics of its shoppers; None if another version wrote them."""
    profiles: ProfileDistribution | None = None
    """Mean and covariance of their profiles."""
    remote_index: ItemIndex | None = None
    """Finds the nearest items in another process; None where this one does."""

    @cached_property
    def is_cold(self) -> NDArray[np.bool_]:
        """`[items]`: whether training had no event of the item, so that others lend to it."""
        return self.neighbours.rows[:, 0] != np.arange(len(self.items))

    @cached_property
    def nearest(self) -> ItemIndex:
        """Finds the nearest of the items."""
        if self.remote_index is not None:
            return self.remote_index
        return FlatIndex(self.vectors) if self.index is None else self.index

    @property
    def indexed_rows(self) -> IndexedRows:
        """The part of the items that another process needs, to search the nearest of them."""
        columns = self.items.columns
        return IndexedRows(self.vectors, columns.catalogue, columns.path, columns.brand, columns.price, self.is_cold)

    @cached_property
    def rows_with_sentences(self) -> NDArray[np.int64]:
        """The rows of other catalogues than the default one, ascending."""
        codes = self.items.codes.catalogues
        own = codes.index(DEFAULT_CATALOGUE) if DEFAULT_CATALOGUE in codes else -1
        return np.flatnonzero(self.items.columns.catalogue != own)

    def find_sentence_vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`[rows, hidden]`: sentence vectors of rows, all of them of other catalogues than the default one."""
        return self.sentence_vectors[np.searchsorted(self.rows_with_sentences, rows)]

    @property
    def popularity(self) -> NDArray[np.float32]:
        """`[items]`, 0 to 1: by all events."""
        return self.statistics[:, POPULARITY]

    @cached_property
    def by_popularity(self) -> NDArray[np.int64]:
        """`[items]`: the rows, the most popular of late first, equally popular ones in their order."""
        return order_by_popularity(self.statistics)

    @cached_property
    def _known(self) -> RowBitmap:
        return bits.pack_rows(~self.is_cold)

    def find_neighbours(self, words: NDArray[np.float32]) -> ColdStartNeighbours:
        """Find the neighbours of cold items.

        Args:
            words: `[cold items, dimension]`, embeddings of their texts.
        """
        if (self.index is None and self.vectors.dtype == np.float32) or not len(words):
            return ColdStartNeighbours.find_nearest(words, self.vectors, ~self.is_cold)
        share = float(1.0 - self.is_cold.mean())
        return ColdStartNeighbours.from_cosines(*self.nearest.search(words, MAX_NEIGHBOURS, self._known, share))

    @cached_property
    def traits(self) -> list[Trait]:
        """The traits that the release declares."""
        return declared(self.manifest)

    def row_of(self, event: Event) -> int:
        """Row of the item that an event was done to, -1 if the release does not hold it."""
        if event.item_id is None or not event.targets_catalogue(DEFAULT_CATALOGUE):
            return -1
        return self.items.row(DEFAULT_CATALOGUE, event.item_id)

    @cached_property
    def identity(self) -> str:
        """See `Manifest.identity`."""
        return self.manifest.identity

    @property
    def text_encoder_hashes(self) -> tuple[str, ...]:
        """Hashes of the files that make embeddings of texts; equal in releases that embed texts alike."""
        files = (
            release_layout.model_file(Path(), "text_encoder", self.number),
            release_layout.release_folder(Path(), self.number) / release_layout.TOKENIZER,
        )
        return tuple(self.manifest.hashes[str(file)] for file in files)

    @property
    def dimension(self) -> int:
        """Length of every vector of the release."""
        return self.manifest.dimension

    @classmethod
    def load(cls, repository: Path, number: int, open_remote_index: OpenIndex | None = None) -> "Release":
        """Read a release and check that it is what its manifest says.

        Args:
            repository: the model repository.
            number: of the release.
            open_remote_index: opens the index in which another process searches the nearest items; the release's own is
                not read then.

        Raises:
            ReleaseError: it is missing or damaged, was made for other features, or is not in that index.
            Unavailable: that index does not answer.
        """
        folder = release_layout.release_folder(repository, number)
        manifest = read_verified_manifest(repository, number)
        _check_features(manifest)

        def read(name: str, reader: Callable[[Path], T]) -> T:
            try:
                return reader(folder / name)
            except Exception as error:  # the readers of tokenizers and archives raise nothing narrower
                raise ReleaseError(f"release {number} is damaged: {name} can't be read: {_told(error)}") from error

        scale = read(release_layout.PRICE_SCALE, _read_scale)
        vectors = read(release_layout.ITEM_VECTORS, map_array)
        loaded = cls(
            number=number,
            manifest=manifest,
            tokenizer=read(release_layout.TOKENIZER, TextTokenizer.load),
            items=read(release_layout.ITEMS, lambda path: ItemTable.load(path.parent, scale)),
            words=read(release_layout.ITEM_WORDS, lambda path: WordIndex.load(path.parent)),
            vectors=vectors,
            index=read(release_layout.ITEM_INDEX, lambda path: open_index(path, vectors, manifest.looked_at))
            if manifest.has_item_index and open_remote_index is None
            else None,
            sentence_vectors=read(release_layout.SENTENCE_VECTORS, map_array),
            statistics=read(release_layout.ITEM_STATISTICS, map_array),
            neighbours=read(release_layout.COLD_START_NEIGHBOURS, lambda path: ColdStartNeighbours.load(path.parent)),
            relations=read(release_layout.RELATIONS, Relations.load),
            price_scale=scale,
            rarity=read(release_layout.DOCUMENT_FREQUENCIES, _read_rarity),
            population=read(release_layout.POPULATION, Population.read),
            profiles=read(release_layout.PROFILE_DISTRIBUTION, read_profile_distribution),
        )
        for name, check in loaded._checks():
            read(name, check)
        find_row = partial(loaded.items.row, DEFAULT_CATALOGUE)  # of items that are sound
        loaded = replace(loaded, pairs=read(release_layout.ITEM_PAIRS, lambda path: ItemPairs.read(path, find_row)))
        if open_remote_index is not None:
            loaded = replace(loaded, remote_index=open_remote_index(loaded))
        _ = loaded.nearest  # now, and not in the first request
        return loaded

    def _checks(self) -> Iterator[tuple[str, Callable[[Path], object]]]:
        """Yield the check of each file; a check raises ValueError, or the error of its reader."""
        items, index, profiles = len(self.items), self.index, self.profiles
        yield release_layout.MANIFEST, lambda _: self.traits
        yield release_layout.TOKENIZER, lambda _: self.tokenizer.pad(self.tokenizer.encode(["a", "\u2603", ""]))
        yield release_layout.ITEMS, lambda _: self.items.verify()
        yield release_layout.ITEM_WORDS, lambda _: check_words(self.words, items)
        yield release_layout.ITEM_VECTORS, lambda _: check_vectors(self.vectors, items, self.dimension)
        with_sentences = (len(self.rows_with_sentences), self.manifest.sentence_dimension)
        yield release_layout.SENTENCE_VECTORS, lambda _: check_vectors(self.sentence_vectors, *with_sentences)
        yield release_layout.ITEM_STATISTICS, lambda _: check_statistics(self.statistics, items)
        yield release_layout.COLD_START_NEIGHBOURS, lambda _: check_neighbours(self.neighbours, items)
        yield release_layout.RELATIONS, lambda _: check_relations(self.relations, items)
        if index is not None:
            yield release_layout.ITEM_INDEX, lambda _: check_index(index, items, self.dimension)
        if profiles is not None:
            yield release_layout.PROFILE_DISTRIBUTION, lambda _: check_profiles(profiles, self.dimension)


def _check_features(manifest: Manifest) -> None:
    for name, wanted, made in (
        ("event numbers", EVENT_NUMBERS, manifest.event_numbers),
        ("candidate features", CANDIDATE_FEATURES, manifest.candidate_features),
        ("inputs of the ranker", RANKER_INPUTS, manifest.ranker_inputs),
        ("statistics", STATISTICS if manifest.has_trait_heads else (), manifest.statistics),
    ):
        if list(wanted) != list(made):
            raise ReleaseError(
                f"release {manifest.release} was trained with other {name}: {', '.join(made) or 'unnamed'}"
            )
    if not manifest.sentence_dimension:
        raise ReleaseError(
            f"release {manifest.release} is of an older version, whose text encoder gives no sentence_embedding: "
            "export its run again"
        )


def _read_scale(path: Path) -> PriceScale:
    return PriceScale.from_json(json.loads(path.read_text(encoding="utf-8")))


def _read_rarity(path: Path) -> InverseDocumentFrequency:
    words = json.loads(path.read_text(encoding="utf-8"))
    return InverseDocumentFrequency.from_counts(words["documents"], words["frequencies"])


def _told(error: Exception) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_TOLD_CHARACTERS]
