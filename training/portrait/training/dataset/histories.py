"""The events of a prepared data set, some whole histories at a time: the table is never in memory as a whole."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from portrait.features.events import DEFAULT_CATALOGUE, EVENT_TYPES
from portrait.training.dataset import tables

PIECE_EVENTS = 131_072
"""About so many events are read at a time; more if one shopper has more."""

_ORDER = ("shopper_id", "sequence")


class HistoryReader:
    """Reads what training takes of the events: those of the default catalogue, and searches.

    Item rows and event columns refer to one catalogue; the others are served by the same encoders untrained.

    Args:
        folder: the folder that `portrait prepare` wrote.

    Raises:
        TrainingError: the folder is not one.
    """

    def __init__(self, folder: Path) -> None:
        frame = tables.scan_complete_table(folder, "events", tables.EVENT_COLUMNS)
        frame = frame.filter(pl.col("item_id").is_null() | (pl.col("catalogue") == DEFAULT_CATALOGUE))
        self._folder = folder
        self._frame = frame.filter(pl.col("type").is_in([kind.value for kind in EVENT_TYPES]))
        self.events, self.events_with_item = 0, 0
        if not self._survey():
            self._frame = self._frame.sort(*_ORDER)  # `portrait prepare` writes tables that are sorted

    def _survey(self) -> bool:
        """Count the events; tell whether they are sorted by shopper and sequence."""
        is_sorted, last = True, None
        for keys in self._read_batches(self._frame.select(*_ORDER, "item_id")):
            self.events += keys.height
            self.events_with_item += keys.height - keys["item_id"].null_count()
            is_sorted = is_sorted and _are_sorted(keys if last is None else pl.concat([last, keys]))
            last = keys.tail(1)
        return is_sorted

    def read(self) -> Iterator[pl.DataFrame]:
        """Read the histories, sorted by shopper and sequence; no history is divided.

        Raises:
            TrainingError: the table can't be read.
        """
        rest: pl.DataFrame | None = None
        for batch in self._read_batches(self._frame):
            piece = batch if rest is None else pl.concat([rest, batch])
            last_begins = (piece["shopper_id"] == piece["shopper_id"][-1]).arg_max()
            assert last_begins is not None  # the last event itself is one
            rest = piece[last_begins:]
            if last_begins:
                yield piece[:last_begins]
        if rest is not None:
            yield rest

    def _read_batches(self, frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        try:
            for batch in frame.collect_batches(chunk_size=PIECE_EVENTS, maintain_order=True):
                if batch.height:
                    yield batch
        except tables.READ_ERRORS as error:
            raise tables.not_prepared_error(self._folder, f"events.parquet: {error}") from error


def _are_sorted(keys: pl.DataFrame) -> bool:
    earlier, later = keys[:-1], keys[1:]
    same = later["shopper_id"] == earlier["shopper_id"]
    return bool(
        ((later["shopper_id"] > earlier["shopper_id"]) | same & (later["sequence"] >= earlier["sequence"])).all()
    )
