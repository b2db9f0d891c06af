"""The data sets of a folder, and the splits that each of them can be measured by."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import steps
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import count_pairs
from portrait.training.dataset.sufficiency import is_sufficient
from portrait.training.enums import Split
from portrait.training.errors import TrainingError
from portrait.training.prepare.sources import complete_journey, detect_source

COMPLETE_JOURNEY = "complete-journey"


@dataclass(frozen=True)
class SourceSet:
    """A data set to be prepared."""

    name: str
    folder: Path | None
    """Folder of the source; None for The Complete Journey, which an installed package brings."""

    def prepare(self, data: Path) -> Path:
        """Prepare the data set, if that has not been done; return its folder."""
        if self.folder is None:
            return steps.prepare_complete_journey(data)
        return steps.prepare_source(self.folder, data)


def find_sets(folder: Path) -> Iterator[SourceSet]:
    """Find the sources among the folders of a folder, by name, and The Complete Journey where it is installed.

    A folder that no source recognises is named and left out.
    """
    for path in sorted(each for each in folder.iterdir() if each.is_dir()):
        if (path / "report.json").exists() or _is_source(path):
            yield SourceSet(path.name, path)
        else:
            print(f"{path}: left out, as no source of `portrait prepare` recognises it", flush=True)
    try:
        complete_journey.find_installed()
    except TrainingError as error:
        print(f"{COMPLETE_JOURNEY}: left out: {error}", flush=True)
    else:
        yield SourceSet(COMPLETE_JOURNEY, None)


def _is_source(path: Path) -> bool:
    try:
        return bool(detect_source(path))
    except TrainingError:
        return False


def list_splits(corpus: Corpus) -> list[Split]:
    """List the splits that leave enough to learn from and to test by; by time only where all events have one."""
    return [split for split, counts in count_pairs(corpus).items() if is_sufficient(counts)]
