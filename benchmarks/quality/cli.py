"""Portrait against its baselines: `python -m benchmarks quality SOURCE`.

The source is prepared and a run is trained by `portrait train --preset best`. The run holds both protocols: the refit,
and in its folder `train-only` the run that chose its settings. Results go to `benchmarks/results/`.
"""

import argparse
import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, existing_folder, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.ranking import portrait_ranks as portrait
from benchmarks.common.ranking import tables as ranking
from benchmarks.common.ranking.baselines import BASELINES
from benchmarks.common.ranking.protocol import Protocol, RankingTask
from benchmarks.quality import report, sasrec
from benchmarks.quality.cache import find_cached, hash_file
from portrait.training.dataset import corpus as corpora
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split
from portrait.training.run import run as runs

Models = dict[Protocol, dict[str, dict[str, Any]]]
"""Protocol → model → its settings, ranks and metrics."""


def measure_baselines(tasks: dict[Protocol, RankingTask], data: Path, cache: Path, with_sasrec: bool) -> Models:
    """Tune every baseline on training events alone, and rank its test items under every protocol."""
    models: list[tuple[str, Any, list[dict[str, Any]]]] = [(one.name, one, list(one.grid())) for one in BASELINES]
    if with_sasrec:
        models.append((sasrec.NAME, sasrec, list(sasrec.GRID)))
    found: Models = {protocol: {} for protocol in tasks}
    for name, model, grid in models:
        subject = {"events": hash_file(data / "events.parquet"), "model": name, "grid": grid}
        known = find_cached(cache, subject, partial(_tune_and_rank, tasks, model))
        for protocol in tasks:
            one = ranking.describe_model(known["settings"], np.array(known["ranks"][protocol]))
            found[protocol][name] = one
            value = one["measures"]["NDCG@10"]["value"]
            print(f"{protocol}: {name} {known['settings']}: NDCG@10 {value:.4f}", flush=True)
        found[Protocol.TRAIN_ONLY][name]["tried"] = known["tried"]
    return found


def _tune_and_rank(tasks: dict[Protocol, RankingTask], model: Any) -> dict[str, Any]:
    """Tune a baseline by validation, and rank the test items under each protocol."""
    settings, tried, scorer = model.tuned(tasks[Protocol.TRAIN_ONLY])
    ranks = {}
    for protocol, task in tasks.items():
        if protocol is Protocol.REFIT:
            scorer = model.fitted(task, settings)
        ranks[protocol.value] = task.ranks(scorer, task.holdout.test).tolist()
    return {"settings": settings, "tried": tried, "ranks": ranks}


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("quality", __doc__)
    add_source(parser)
    parser.add_argument("--name", help="name of the results (that of the data set's source)")
    parser.add_argument("--refit", type=existing_folder, help="run of `portrait train --preset best`; else one is made")
    parser.add_argument("--train-only", type=existing_folder, help="run trained without the validation events")
    parser.add_argument("--no-sasrec", action="store_true", help="leave the slowest baseline out")
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks/baselines"), help="folder of tuned baselines")
    options = parser.parse_args(arguments)
    work = options.work or steps.work_folder(options.source)
    data = steps.prepare_source(options.source, work / "data")
    refit, train_only = options.refit, options.train_only
    if refit is None and train_only is None:
        refit = steps.train_run(data, work / "run", "--preset", "best")
        train_only = refit / "train-only"
    _measure(data, {Protocol.TRAIN_ONLY: train_only, Protocol.REFIT: refit}, options)
    return 0


def _measure(data: Path, runs_: Mapping[Protocol, Path | None], options: argparse.Namespace) -> None:
    command = "python -m benchmarks quality SOURCE" + (" --no-sasrec" if options.no_sasrec else "")
    circumstances = results.describe_circumstances(command)
    corpus = corpora.load_corpus(data)
    tasks = {
        protocol: RankingTask(corpus, hold_out(corpus, Split.LOO, refit=protocol is Protocol.REFIT))
        for protocol in Protocol
    }
    found = measure_baselines(tasks, data, options.cache, not options.no_sasrec)
    for protocol, folder in runs_.items():
        if folder is None:
            continue
        trained = runs.load_run(folder)
        ours = ranking.describe_model(dataclasses.asdict(trained.settings), portrait.rank_targets(trained))
        for other in found[protocol].values():
            other["portrait_minus_this"] = ranking.compare_paired(ours["ranks"], other["ranks"])
        found[protocol][ranking.PORTRAIT] = ours
    holdout = tasks[Protocol.TRAIN_ONLY].holdout
    content = {
        "data": options.name or read_source(data),
        "circumstances": circumstances,
        "shoppers": len(holdout.test),
        "items": len(corpus.items),
        "seen_items": "masked" if holdout.mask_seen else "ranked",
        "protocols": {
            protocol.value: {
                name: {key: value for key, value in model.items() if key != "ranks"} for name, model in models.items()
            }
            for protocol, models in found.items()
        },
    }
    name = f"quality-{content['data']}"
    table = report.format_report(content)
    results.write_results(name, content, table)
    report.plot_report(content, name)
    print(table)
