"""Catalogues: the items of a release and the items changed since. Each change makes a new `Snapshot`."""

from collections.abc import Sequence

import numpy as np

from portrait.features.events import DEFAULT_CATALOGUE
from portrait.features.search import row_bitmap as bits
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.delta import CatalogueDelta
from portrait.server.catalogue.release_items import ReleaseItems
from portrait.server.catalogue.snapshot import CatalogueSnapshots, Snapshot
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import NotFound
from portrait.server.release.release import Release

_MAX_DELETED_ROWS = 1_000
"""The delta is compacted when it has more deleted rows than this, and more than live ones."""
_MAX_EMPTIED = 1_000
"""Maximum emptied catalogues whose names are remembered, so that a repeated `DeleteItems` still succeeds."""


class Catalogue:
    """A named set of items.

    The cost of a change is proportional to the changed items, plus a copy of the live bits: 125 KB for a million items.

    Args:
        name: the name of the catalogue.
        release: provides the first items.
    """

    def __init__(self, name: str, release: Release) -> None:
        self._name = name
        self._stock, self._added = ReleaseItems(name, release), _make_delta(name, release)
        self._live_release_rows = self._stock.items
        self._live_delta_rows = np.empty(0, dtype=bool)
        self._publish()

    def upsert(self, candidates: CandidateSet) -> None:
        """Add or replace items; if two have the same id, the last one counts."""
        places = np.array(
            list({each: place for place, each in enumerate(candidates.item_ids)}.values()), dtype=np.int64
        )
        added = candidates.take(places)
        self._mark_deleted(added.item_ids)
        self._added.append(added)
        self._live_delta_rows = np.append(self._live_delta_rows, np.ones(len(places), dtype=bool))
        self._compact()
        self._publish()

    def delete(self, item_ids: Sequence[str]) -> int:
        """Remove items; returns how many were there."""
        gone = self._mark_deleted(item_ids)
        self._publish()
        return gone

    def _mark_deleted(self, item_ids: Sequence[str]) -> int:
        """Mark the live rows of items as deleted; returns their number."""
        rows = np.array([row for each in set(item_ids) if (row := self.now.row(each)) is not None], dtype=np.int64)
        first = self._stock.rows
        if (rows < first).any():
            self._live_release_rows = bits.remove_rows(self._live_release_rows, rows[rows < first])
        self._live_delta_rows = self._live_delta_rows.copy()
        self._live_delta_rows[rows[rows >= first] - first] = False
        return len(rows)

    def _publish(self) -> None:
        self.now = Snapshot(self._name, self._stock, self._added, self._live_release_rows, self._live_delta_rows)
        """The current snapshot."""

    def _compact(self) -> None:
        """Rebuild the delta without its deleted rows, if there are many."""
        living = np.flatnonzero(self._live_delta_rows)
        if len(self._added) - len(living) <= max(_MAX_DELETED_ROWS, len(living)):
            return
        compacted = _make_delta(self._name, self._stock.release)
        compacted.append(self._added.take(living))
        self._added, self._live_delta_rows = compacted, np.ones(len(living), dtype=bool)


def _make_delta(name: str, release: Release) -> CatalogueDelta:
    sentence_dimension = 0 if name == DEFAULT_CATALOGUE else release.manifest.sentence_dimension
    return CatalogueDelta(release.dimension, sentence_dimension)


class Catalogues:
    """All catalogues: those of the release, and those created since.

    Args:
        release: provides the first items.
    """

    def __init__(self, release: Release) -> None:
        self._release = release
        self._own = frozenset({DEFAULT_CATALOGUE, *release.items.codes.catalogues})
        self._by_name = {name: Catalogue(name, release) for name in sorted(self._own)}
        self._emptied: dict[str, None] = {}
        """Names of created catalogues that were emptied, in order; a dict serves as an ordered set."""

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Catalogue:
        """Return a catalogue by its name; an emptied one has no items.

        Raises:
            NotFound: there is no such catalogue.
        """
        known = self._by_name.get(name)
        if known is not None:
            return known
        if name in self._emptied:
            return Catalogue(name, self._release)
        raise NotFound("catalogue", "there is no such catalogue", ErrorReason.CATALOGUE_UNKNOWN)

    def upsert(self, name: str, candidates: CandidateSet) -> None:
        """Add or replace items; the first item creates a catalogue."""
        catalogue = self._by_name.get(name) or Catalogue(name, self._release)
        catalogue.upsert(candidates)
        self._by_name[name] = catalogue
        self._emptied.pop(name, None)

    def delete(self, name: str, item_ids: Sequence[str]) -> int:
        """Remove items; returns how many existed. A catalogue that the release lacks is removed with its last item.

        Raises:
            NotFound: there is no such catalogue.
        """
        catalogue = self[name]
        deleted = catalogue.delete(item_ids)
        if name not in self._own and not catalogue.now.items and self._by_name.pop(name, None) is not None:
            self._emptied[name] = None
            if len(self._emptied) > _MAX_EMPTIED:
                del self._emptied[next(iter(self._emptied))]
        return deleted

    def now(self) -> "CatalogueSnapshots":
        """Return snapshots of all catalogues."""
        # `tuple` copies in one step, since other threads call this while catalogues are added.
        return CatalogueSnapshots({name: catalogue.now for name, catalogue in tuple(self._by_name.items())})
