"""Sources of logs, one module each. A source recognises its own files and makes the three views of `schema`."""

from pathlib import Path
from typing import Protocol

import duckdb

from portrait.training.errors import TrainingError
from portrait.training.prepare import parts
from portrait.training.prepare.sources import (
    amazon_5core,
    amazon_cn,
    bestbuy,
    complete_journey,
    events,
    open_ecommerce,
)


class Source(Protocol):
    """Interface of a source's module."""

    def recognises(self, path: Path) -> bool:
        """Tell whether a path holds this source's files."""

    def load(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        """Make the three views.

        Raises:
            DataError: a file is malformed.
        """


SOURCES: dict[str, Source] = {
    "amazon-5core": amazon_5core,
    "amazon-cn": amazon_cn,
    "bestbuy": bestbuy,
    "open-ecommerce": open_ecommerce,
    "events": events,
    "complete-journey": complete_journey,
}


def detect_source(path: Path) -> str:
    """Name of the source that a path belongs to.

    Raises:
        TrainingError: none recognises it.
    """
    for name, source in SOURCES.items():
        if source.recognises(path):
            return name
    raise TrainingError(f"{parts.describe_no_log(path)}; formats of public data sets are named with --source")
