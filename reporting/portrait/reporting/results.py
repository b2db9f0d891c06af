"""Files that benchmarks wrote: which of them are of the run's own data set."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.training.errors import TrainingError


@dataclass(frozen=True)
class Result:
    """Result of one benchmark: figures for programs, and beside them the same in words and tables."""

    path: Path
    """The JSON file."""
    content: Any

    @property
    def words(self) -> Path:
        """The Markdown file."""
        return self.path.with_suffix(".md")


@dataclass(frozen=True)
class DataSet:
    """Identity of a data set."""

    source: str
    shoppers: int
    """Number of shoppers of the test."""
    items: int

    def is_of(self, content: Any) -> bool:
        """Tell whether a result may be of this data set: it says so by its numbers or its name, or it says nothing."""
        if not isinstance(content, dict):
            return True
        if "items" in content:
            return bool(content["items"] == self.items and content.get("shoppers", self.shoppers) == self.shoppers)
        return content.get("data", self.source) == self.source


def read(paths: Sequence[Path], data: DataSet) -> list[Result]:
    """The results in files, and those of folders that may be of a data set.

    Args:
        paths: JSON files that `benchmarks` wrote, or folders of such.
        data: the run's.

    Raises:
        TrainingError: a path is missing, or a file that was named is no result of this data set.
    """
    found: list[Result] = []
    for path in paths:
        if not path.exists():
            raise TrainingError(f"{path} does not exist")
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        results = [result for result in map(_read, files) if result.words.exists() and data.is_of(result.content)]
        if not results and not path.is_dir():
            raise TrainingError(f"{path} holds no benchmark's result of the run's data set ({data.items:,} items)")
        found += results
    return found


def _read(file: Path) -> Result:
    try:
        return Result(file, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{file} is no benchmark's result: {error!r}") from error
