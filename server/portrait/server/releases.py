"""A release in memory: all that the gateway needs of it beside the graphs that Triton serves."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from portrait.features import release as files
from portrait.features.associations import Associations
from portrait.features.candidates import CANDIDATE_FEATURES
from portrait.features.events import DEFAULT_CATALOGUE, Event
from portrait.features.histories import EVENT_NUMBERS
from portrait.features.items import ItemTable, mapped_array
from portrait.features.lenders import LENDERS, Lenders
from portrait.features.population import Population, Profiles, read_profiles
from portrait.features.prices import PriceScale
from portrait.features.rarity import Rarity
from portrait.features.release import Manifest, ReleaseError
from portrait.features.statistics import STATISTICS
from portrait.features.tokens import TextTokenizer
from portrait.server.catalogues import bits
from portrait.server.catalogues.bits import Bits
from portrait.server.profiles.traits import Trait, declared
from portrait.server.retrieval.approximate import Approximate

T = TypeVar("T")


@dataclass(frozen=True)
class Release:
    """What `portrait export` wrote, checked and loaded."""

    number: int
    manifest: Manifest
    tokenizer: TextTokenizer
    items: ItemTable
    vectors: NDArray[np.float32]
    """`[items, dimension]`, unit length; float16 in a release with an index."""
    index: Approximate | None
    """Finds the nearest of the items, where they are too many to look at each."""
    popularity: NDArray[np.float32]
    """`[items]`, 0 to 1."""
    lenders: Lenders
    """Of each item."""
    associations: Associations
    """Which items follow which, by row."""
    price_scale: PriceScale
    rarity: Rarity
    """Of the words of its items."""
    population: Population | None = None
    """What is usual among its shoppers; None if it was exported before there were statistics."""
    profiles: Profiles | None = None
    """Mean and covariance of their profiles; None likewise."""

    @cached_property
    def newcomer(self) -> NDArray[np.bool_]:
        """`[items]`: whether training had no event of the item, so that others lend to it."""
        return self.lenders.rows[:, 0] != np.arange(len(self.items))

    @cached_property
    def by_popularity(self) -> NDArray[np.int64]:
        """`[items]`: the rows, the most popular first, equally popular ones in their order."""
        return np.argsort(-self.popularity, kind="stable")

    @cached_property
    def _known(self) -> Bits:
        return bits.packed(~self.newcomer)

    def lenders_to(self, words: NDArray[np.float32]) -> Lenders:
        """Who lends to newcomers.

        Args:
            words: `[newcomers, dimension]`, embeddings of their texts.
        """
        if self.index is None or not len(words):
            return Lenders.nearest(words, self.vectors, ~self.newcomer)
        share = float(1.0 - self.newcomer.mean())
        return Lenders.near(*self.index.search(words, LENDERS, self._known, share))

    @cached_property
    def traits(self) -> list[Trait]:
        """What it declares of shoppers."""
        return declared(self.manifest)

    def row_of(self, event: Event) -> int:
        """Row of the item that an event was done to, -1 if the release does not hold it."""
        if event.item_id is None or not event.is_of(DEFAULT_CATALOGUE):
            return -1
        return self.items.row(DEFAULT_CATALOGUE, event.item_id)

    @cached_property
    def identity(self) -> str:
        """Tells it from every other release, also from one that was made later with the same number."""
        content = json.dumps(self.manifest.hashes, sort_keys=True).encode()
        return f"{self.number}-{hashlib.sha256(content).hexdigest()[:12]}"

    @property
    def dimension(self) -> int:
        """Length of every vector of the release."""
        return self.manifest.dimension

    @classmethod
    def load(cls, repository: Path, number: int) -> "Release":
        """Read a release and check that it is what its manifest says.

        Raises:
            ReleaseError: it is missing or damaged, or was made for other features.
        """
        folder = files.folder(repository, number)
        manifest = Manifest.read(folder)
        _check(repository, manifest)
        try:
            words = json.loads((folder / files.KEYWORDS).read_text(encoding="utf-8"))
            scale = PriceScale.from_json(json.loads((folder / files.PRICE_SCALE).read_text(encoding="utf-8")))
            index = folder / files.ITEM_INDEX
            loaded = cls(
                number=number,
                manifest=manifest,
                tokenizer=TextTokenizer.load(folder / files.TOKENIZER),
                items=ItemTable.load(folder, scale),
                vectors=mapped_array(folder / files.ITEM_VECTORS),
                index=Approximate.open(index) if index.exists() else None,
                popularity=mapped_array(folder / files.ITEM_POPULARITY),
                lenders=Lenders.load(folder),
                associations=Associations.load(folder / files.ASSOCIATIONS),
                price_scale=scale,
                rarity=Rarity.of(words["documents"], words["frequencies"]),
                population=_optional(folder / files.POPULATION, Population.read),
                profiles=_optional(folder / files.PROFILES, read_profiles),
            )
        except Exception as error:  # the readers of tokenizers and archives raise nothing narrower
            raise ReleaseError(f"release {number} is damaged: {error}") from error
        _check_lengths(loaded)
        return loaded


def _check(repository: Path, manifest: Manifest) -> None:
    for name, wanted, made in (
        ("event numbers", EVENT_NUMBERS, manifest.event_numbers),
        ("candidate features", CANDIDATE_FEATURES, manifest.candidate_features),
        ("statistics", STATISTICS if manifest.statistics else (), manifest.statistics),
    ):
        if list(wanted) != list(made):
            raise ReleaseError(f"release {manifest.release} was trained with other {name}: {made}")
    manifest.check_files(repository)


def _optional(path: Path, read: Callable[[Path], T | None]) -> T | None:
    """What earlier versions of Portrait did not write."""
    return read(path) if path.exists() else None


def _check_lengths(loaded: Release) -> None:
    count, found = len(loaded.items), loaded.index
    held = (
        loaded.vectors.shape, len(loaded.popularity), len(loaded.lenders), len(loaded.associations.starts) - 1,
        count if found is None else len(found), loaded.dimension if found is None else found.dimension,
    )  # fmt: skip
    if held != ((count, loaded.dimension), count, count, count, count, loaded.dimension):
        raise ReleaseError(
            f"release {loaded.number} is damaged: {count} items, but vectors, popularity, lenders, associations and "
            f"index of {held}"
        )
