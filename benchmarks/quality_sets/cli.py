"""Portrait by default settings on every data set of a folder: `python -m benchmarks quality-sets FOLDER`.

Each data set is prepared, then trained and evaluated by each split that it allows, with the commands that a user types
and no options but `--split`. What has ended is not repeated, so that the same command continues after a stop. A data
set that fails is named, and the next one follows. Results go to `benchmarks/results/quality-sets.{json,md}` after each
step.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import results, steps
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.errors import BenchmarkError
from benchmarks.quality_sets import report
from benchmarks.quality_sets.sets import SourceSet, find_sets, list_splits
from benchmarks.quality_sets.shortcuts import measure_shortcuts
from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split
from portrait.training.errors import TrainingError
from portrait.training.files import read_json_object
from portrait.training.run.folder import metrics_file

NAME = "quality-sets"


def main(arguments: list[str]) -> int:
    """Measure; return 1 if a data set failed, else 0."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument("folder", type=existing_folder, help="folder with a folder for each source")
    parser.add_argument("--work", type=Path, default=steps.WORK / NAME, help="folder for data sets and runs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of data sets; by default all")
    options = parser.parse_args(arguments)
    circumstances = results.describe_circumstances(f"python -m benchmarks {NAME} FOLDER")
    rows: list[dict[str, Any]] = []
    for each in find_sets(options.folder):
        if options.only and each.name not in options.only:
            continue
        for row in _measure_set(each, options.work / each.name):
            rows.append(row)
            content = {"circumstances": circumstances, "sets": rows}
            results.write_results(NAME, content, report.format_report(content))
    if not rows:
        raise BenchmarkError(f"{options.folder} holds none of the data sets")
    print(report.format_report({"circumstances": circumstances, "sets": rows}))
    return int(any("failed" in row for row in rows))


def _measure_set(source: SourceSet, work: Path) -> Iterator[dict[str, Any]]:
    """Measure one data set by each split; a failure is a row that says so."""
    try:
        data = source.prepare(work / "data")
        corpus = load_corpus(data)
    except (BenchmarkError, TrainingError) as error:
        yield _report_failure({"data": source.name}, error)
        return
    for split in list_splits(corpus):
        yield _measure_split(source.name, data, corpus, split, work / split)


def _measure_split(name: str, data: Path, corpus: Corpus, split: Split, run: Path) -> dict[str, Any]:
    place = {"data": name, "split": split.value}
    print(f"{time.strftime('%H:%M:%S')} {name}, {split}: begins", flush=True)
    try:
        steps.evaluate_run(steps.train_run(data, run, "--split", split.value), split)
    except BenchmarkError as error:
        return _report_failure(place, error)
    measured = read_json_object(metrics_file(run, split))
    shortcuts = measure_shortcuts(corpus, hold_out(corpus, split).test)
    print(f"{time.strftime('%H:%M:%S')} {name}, {split}: ended", flush=True)
    return {**place, **measured, "shortcuts": shortcuts.to_json()}


def _report_failure(place: dict[str, Any], error: Exception) -> dict[str, Any]:
    print(f"{', '.join(place.values())}: {error}", file=sys.stderr, flush=True)
    return {**place, "failed": str(error)}
