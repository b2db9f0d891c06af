"""Steps before a measurement: prepare a source, train a run, learn traits, export a release.

Each step runs the `portrait` command in a process of its own and is skipped if its result exists, so that a benchmark
that was stopped continues with the same command.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.common.errors import BenchmarkError
from portrait.features.release import layout as release_layout
from portrait.training.enums import Split
from portrait.training.run.folder import metrics_file

WORK = Path(".benchmarks")
"""Folder for all that the steps write."""
SHOP_TRAITS = Path("docs/examples/traits/shop.toml")
SHOP_COMPLETE_UNTIL = "2022-11-01"
"""Day until which the log of the source open-ecommerce is complete."""
_REPORT, _MODEL, _TRAITS = "report.json", "model.pt", "traits.json"


class StepError(BenchmarkError):
    """A step failed; its command has printed why."""


def work_folder(source: Path) -> Path:
    """Return the folder in which a source is prepared and trained, if the caller names none."""
    return WORK / source.resolve().name


def prepare_source(source: Path, data: Path) -> Path:
    """Prepare a source.

    Args:
        source: its folder, or a data set that is prepared already and is used as it is.
        data: folder for the data set.

    Returns:
        Folder of the data set.

    Raises:
        StepError: `portrait prepare` failed.
    """
    if (source / _REPORT).exists() and (source / "events.parquet").exists():
        return source
    if not (data / _REPORT).exists():
        _run_portrait("prepare", source, data)
    return data


def prepare_without(source: Path, deletions: Path, data: Path) -> Path:
    """Prepare a source without the shoppers of a list of deletions; return the folder of the data set.

    Raises:
        StepError: `portrait prepare` failed; a data set that is prepared already can't be prepared again.
    """
    if not (data / _REPORT).exists():
        _run_portrait("prepare", "--deletions", deletions, source, data)
    return data


def prepare_complete_journey(data: Path) -> Path:
    """Prepare The Complete Journey, which an installed package brings; return the folder of the data set."""
    if not (data / _REPORT).exists():
        _run_portrait("prepare", "--source", "complete-journey", data)
    return data


def train_run(data: Path, run: Path, *options: str) -> Path:
    """Train a run on a data set, or continue one that was stopped.

    Args:
        data: folder of a prepared data set.
        run: folder of the run.
        options: more options of `portrait train`.

    Returns:
        Folder of the run.

    Raises:
        StepError: `portrait train` failed.
    """
    if not (run / _MODEL).exists():
        resume = ["--resume"] if run.exists() else []
        _run_portrait("train", data, run, *options, *resume)
    return run


def unlearn_run(run: Path, data: Path, output: Path) -> Path:
    """Make the next run of a run on a data set that shoppers have left; return its folder.

    Raises:
        StepError: `portrait unlearn` failed.
    """
    if not output.exists():
        _run_portrait("unlearn", run, data, output)
    return output


def evaluate_run(run: Path, split: Split) -> Path:
    """Measure a run on its test, if that has not been done; return its folder.

    Args:
        run: folder of a run that was trained with the split.
        split: the split.

    Raises:
        StepError: `portrait evaluate` failed.
    """
    if not metrics_file(run, split).exists():
        _run_portrait("evaluate", run)
    return run


def learn_traits(run: Path, declarations: Path, complete_until: str) -> Path:
    """Learn declared traits for a run.

    Args:
        run: folder of a run, trained with `--split time`.
        declarations: TOML file that declares the traits.
        complete_until: day until which the log is complete, for example `2022-11-01`.

    Returns:
        Folder of the run.

    Raises:
        StepError: `portrait train-traits` failed.
    """
    if not (run / _TRAITS).exists():
        _run_portrait("train-traits", run, declarations, "--complete-until", complete_until)
    return run


def export_release(run: Path, repository: Path) -> Path:
    """Export a run into a model repository, if that holds no release; return the repository."""
    if not release_layout.list_releases(repository):
        _run_portrait("export", run, "--repository", repository)
    return repository


def open_repository(path: Path) -> Path:
    """Return a model repository: the folder itself if it is one, else one made of the source that it holds.

    Args:
        path: a model repository, a source, or a prepared data set.

    Raises:
        BenchmarkError: there is no such folder.
        StepError: it is neither.
    """
    if not path.is_dir():
        raise BenchmarkError(f"{path} is no folder")
    if release_layout.list_releases(path):
        return path
    work = work_folder(path)
    data = prepare_source(path, work / "data")
    return export_release(train_run(data, work / "quick"), work / "repository")


def _run_portrait(*arguments: str | Path) -> None:
    program = Path(sys.executable).parent / "portrait"
    ended = subprocess.run([program, *map(str, arguments)], check=False)
    if ended.returncode:
        raise StepError(f"`portrait {' '.join(map(str, arguments))}` ended with exit code {ended.returncode}")
