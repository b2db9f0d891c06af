"""A prepared data set, as the tests of `prepare` look at it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from portrait.training.prepare.report import Report


@dataclass(frozen=True)
class PreparedData:
    """A data set and its report."""

    report: Report
    folder: Path

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{name}.parquet")

    @property
    def rejected(self) -> dict[int, str]:
        """Reason of each rejected row."""
        return dict(self.table("rejected").select("row", "reason").iter_rows())


class Prepare(Protocol):
    """The fixture `prepare_log`."""

    def __call__(self, path: Path, source: str = "events") -> PreparedData: ...


class WriteLog(Protocol):
    """The fixture `write_log`: `events_csv="…"` is the file `events.csv`."""

    def __call__(self, **files: str | bytes | list[dict[str, Any]]) -> Path: ...
