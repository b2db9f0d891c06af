"""Results that benchmarks wrote, limited to those of the run's data set."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.training.errors import TrainingError


@dataclass(frozen=True)
class Result:
    """Result of one benchmark: a JSON file with figures, and beside it a Markdown file that explains them."""

    path: Path
    """The JSON file."""
    content: Any

    @property
    def markdown(self) -> Path:
        """The Markdown file."""
        return self.path.with_suffix(".md")


@dataclass(frozen=True)
class DataSet:
    """Properties by which a result is matched to a data set."""

    source: str
    shoppers: int
    """Shoppers in the test."""
    items: int

    def matches(self, content: Any) -> bool:
        """Return True if a result states the counts or the name of this data set, or states neither."""
        if not isinstance(content, dict):
            return True
        if "items" in content:
            return bool(content["items"] == self.items and content.get("shoppers", self.shoppers) == self.shoppers)
        return content.get("data", self.source) == self.source


def read_results(paths: Sequence[Path], data: DataSet) -> list[Result]:
    """Read results of a data set from files and folders. Other results in a folder are skipped.

    Args:
        paths: JSON files that `benchmarks` wrote, or folders of such files.
        data: data set of the run.

    Raises:
        TrainingError: a path is missing, or a file in `paths` is not a result of this data set.
    """
    found: list[Result] = []
    for path in paths:
        if not path.exists():
            raise TrainingError(f"{path} does not exist")
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        results = [
            result for result in map(_read_result, files) if result.markdown.exists() and data.matches(result.content)
        ]
        if not results and not path.is_dir():
            raise TrainingError(f"{path} holds no benchmark's result of the run's data set ({data.items:,} items)")
        found += results
    return found


def _read_result(file: Path) -> Result:
    try:
        return Result(file, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{file} is no benchmark's result: {error!r}") from error
