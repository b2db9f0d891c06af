"""Portrait by default settings on every data set of a folder: `python -m benchmarks quality-sets FOLDER`.

Each data set is prepared, then trained and evaluated by each split that it allows, with the commands that a user types
and no options but `--split`. `--seeds` repeats that with other seeds. `--without-bert` trains once more with a base
model for which all texts are the same, and measures what is lost. What has ended is not repeated, so that the same
command continues after a stop. A data set that fails is named, and the next one follows. Results go to
`benchmarks/results/quality-sets.{json,md}` after each step.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import results, steps
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.constant_model import train_without_bert
from benchmarks.common.errors import BenchmarkError
from benchmarks.quality_sets import report
from benchmarks.quality_sets.ablation import measure_worth
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
    parser.add_argument("--seeds", type=int, default=1, help="runs of each data set and split (%(default)s)")
    parser.add_argument("--without-bert", action="store_true", help="measure what is lost without the BERT")
    options = parser.parse_args(arguments)
    circumstances = results.describe_circumstances(f"python -m benchmarks {NAME} FOLDER")
    rows: list[dict[str, Any]] = []
    for each in find_sets(options.folder):
        if options.only and each.name not in options.only:
            continue
        for row in _measure_set(each, options.work / each.name, options):
            rows.append(row)
            content = {"circumstances": circumstances, "sets": rows}
            results.write_results(NAME, content, report.format_report(content))
    if not rows:
        raise BenchmarkError(f"{options.folder} holds none of the data sets")
    print(report.format_report({"circumstances": circumstances, "sets": rows}))
    return int(any("failed" in row for row in rows))


def _measure_set(source: SourceSet, work: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure one data set by each split; a failure is a row that says so."""
    try:
        data = source.prepare(work / "data")
        corpus = load_corpus(data)
    except (BenchmarkError, TrainingError) as error:
        yield _report_failure({"data": source.name}, error)
        return
    for split in list_splits(corpus):
        place = {"data": source.name, "split": split.value}
        print(f"{time.strftime('%H:%M:%S')} {source.name}, {split}: begins", flush=True)
        try:
            yield {**place, **_measure_split(data, corpus, split, work / split, options)}
        except BenchmarkError as error:
            yield _report_failure(place, error)
        print(f"{time.strftime('%H:%M:%S')} {source.name}, {split}: ended", flush=True)


def _measure_split(data: Path, corpus: Corpus, split: Split, run: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate runs of one split; the first one's metrics, and what others add."""
    measured = []
    for seed in range(options.seeds):
        folder = run if not seed else run.with_name(f"{run.name}-seed-{seed}")
        chosen = ("--seed", str(seed)) if seed else ()
        steps.evaluate_run(steps.train_run(data, folder, *chosen, "--split", split.value), split)
        measured.append(read_json_object(metrics_file(folder, split)))
    row = {
        **measured[0],
        "shortcuts": measure_shortcuts(corpus, hold_out(corpus, split).test).to_json(),
        "ndcg_by_seed": [each["ranking"]["portrait"]["NDCG@10"]["value"] for each in measured],
    }
    if options.without_bert:
        without = train_without_bert(data, run.with_name(f"{run.name}-without-bert"), "--split", split.value)
        row["worth_of_bert"] = measure_worth(run, without, corpus)
    return row


def _report_failure(place: dict[str, Any], error: Exception) -> dict[str, Any]:
    print(f"{', '.join(place.values())}: {error}", file=sys.stderr, flush=True)
    return {**place, "failed": str(error)}
