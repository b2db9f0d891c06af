"""A release in memory: all that the gateway needs of it beside the graphs that Triton serves."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features import release as files
from portrait.features.associations import Associations
from portrait.features.candidates import CANDIDATE_FEATURES
from portrait.features.events import DEFAULT_CATALOGUE, Event, Item
from portrait.features.histories import EVENT_NUMBERS
from portrait.features.lenders import Lenders
from portrait.features.prices import PriceScale
from portrait.features.release import Manifest, ReleaseError
from portrait.features.tokens import TextTokenizer


@dataclass(frozen=True)
class Release:
    """What `portrait export` wrote, checked and loaded."""

    number: int
    manifest: Manifest
    tokenizer: TextTokenizer
    items: list[Item]
    vectors: NDArray[np.float32]
    """`[items, dimension]`, unit length."""
    popularity: NDArray[np.float32]
    """`[items]`, 0 to 1."""
    lenders: Lenders
    """Of each item."""
    associations: Associations
    """Which items follow which, by row."""
    price_scale: PriceScale
    documents: int
    """How many texts the document frequencies were counted over."""
    document_frequencies: dict[str, int]
    """In how many of them each stem occurs."""

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each item of the default catalogue: those that associations know."""
        return {item.item_id: row for row, item in enumerate(self.items) if item.catalogue == DEFAULT_CATALOGUE}

    @cached_property
    def newcomer(self) -> NDArray[np.bool_]:
        """`[items]`: whether training had no event of the item, so that others lend to it."""
        return self.lenders.rows[:, 0] != np.arange(len(self.items))

    def row_of(self, event: Event) -> int:
        """Row of the item that an event was done to, -1 if the release does not hold it."""
        if event.item_id is None or not event.is_of(DEFAULT_CATALOGUE):
            return -1
        return self.rows.get(event.item_id, -1)

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
            words = json.loads((folder / files.KEYWORDS).read_text())
            loaded = cls(
                number=number,
                manifest=manifest,
                tokenizer=TextTokenizer.load(folder / files.TOKENIZER),
                items=_items(folder / files.ITEMS),
                vectors=np.load(folder / files.ITEM_VECTORS, mmap_mode="r"),
                popularity=np.load(folder / files.ITEM_POPULARITY),
                lenders=Lenders.load(folder / files.LENDERS),
                associations=Associations.load(folder / files.ASSOCIATIONS),
                price_scale=PriceScale.from_json(json.loads((folder / files.PRICE_SCALE).read_text())),
                documents=words["documents"],
                document_frequencies=words["frequencies"],
            )
        except Exception as error:  # the readers of tokenizers and archives raise nothing narrower
            raise ReleaseError(f"release {number} is damaged: {error}") from error
        held = (
            loaded.vectors.shape, len(loaded.popularity), len(loaded.lenders), len(loaded.associations.starts) - 1
        )  # fmt: skip
        count = len(loaded.items)
        if held != ((count, manifest.dimension), count, count, count):
            raise ReleaseError(
                f"release {number} is damaged: {count} items, but vectors, popularity, lenders and "
                f"associations of {held}"
            )
        return loaded


def _check(repository: Path, manifest: Manifest) -> None:
    for name, wanted, made in (
        ("event numbers", EVENT_NUMBERS, manifest.event_numbers),
        ("candidate features", CANDIDATE_FEATURES, manifest.candidate_features),
    ):
        if list(wanted) != list(made):
            raise ReleaseError(f"release {manifest.release} was trained with other {name}: {made}")
    manifest.check_files(repository)


def _items(path: Path) -> list[Item]:
    with path.open(encoding="utf-8") as lines:
        return [_item(json.loads(line)) for line in lines]


def _item(fields: dict[str, Any]) -> Item:
    return Item(**(fields | {"category_path": tuple(fields["category_path"])}))
