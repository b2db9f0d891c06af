"""Portrait against its baselines: `python -m benchmarks.quality DATA [--train-only RUN] [--refit RUN]`.

DATA is a prepared data set. A run of `portrait train --preset best` holds both protocols: the refit, and in its
folder `train-only` the run that chose its settings. Results go to `benchmarks/results/`.
"""

import argparse
import dataclasses
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import results
from benchmarks.common.ranking import portrait_ranks as portrait
from benchmarks.common.ranking import tables as ranking
from benchmarks.common.ranking.baselines import BASELINES
from benchmarks.common.ranking.protocol import Protocol, Task
from benchmarks.quality import sasrec
from benchmarks.quality.cache import digest, remembered
from portrait.training.dataset import corpus as corpora
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split
from portrait.training.errors import TrainingError
from portrait.training.run import run as runs

Models = dict[Protocol, dict[str, dict[str, Any]]]
"""Protocol → model → its settings, ranks and measures."""


def baselines(tasks: dict[Protocol, Task], data: Path, cache: Path, with_sasrec: bool) -> Models:
    """Settings and test ranks of every baseline under every protocol; settings come from training events alone."""
    models: list[tuple[str, Any, list[dict[str, Any]]]] = [(one.name, one, list(one.grid())) for one in BASELINES]
    if with_sasrec:
        models.append((sasrec.NAME, sasrec, list(sasrec.GRID)))
    found: Models = {protocol: {} for protocol in tasks}
    for name, model, grid in models:
        subject = {"events": digest(data / "events.parquet"), "model": name, "grid": grid}
        known = remembered(cache, subject, partial(_find, tasks, model))
        for protocol in tasks:
            one = ranking.model(known["settings"], np.array(known["ranks"][protocol]))
            found[protocol][name] = one
            value = one["measures"]["NDCG@10"]["value"]
            print(f"{protocol}: {name} {known['settings']}: NDCG@10 {value:.4f}", flush=True)
        found[Protocol.TRAIN_ONLY][name]["tried"] = known["tried"]
    return found


def _find(tasks: dict[Protocol, Task], model: Any) -> dict[str, Any]:
    """Tune a baseline by validation, and rank the test items under each protocol."""
    settings, tried, scorer = model.tuned(tasks[Protocol.TRAIN_ONLY])
    ranks = {}
    for protocol, task in tasks.items():
        if protocol is Protocol.REFIT:
            scorer = model.fitted(task, settings)
        ranks[protocol.value] = task.ranks(scorer, task.holdout.test).tolist()
    return {"settings": settings, "tried": tried, "ranks": ranks}


def main(arguments: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that `portrait prepare` wrote")
    parser.add_argument("--name", help="of the results; the data set's source if left out")
    parser.add_argument("--train-only", type=Path, help="run trained without the validation events")
    parser.add_argument("--refit", type=Path, help="run of `portrait train --preset best`")
    parser.add_argument("--no-sasrec", action="store_true", help="leave the slowest baseline out")
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks/baselines"), help="finished baselines")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(chosen: argparse.Namespace) -> int:
    command = "python -m benchmarks.quality" + (" --no-sasrec" if chosen.no_sasrec else "")
    circumstances = results.circumstances(command)
    corpus = corpora.load(chosen.data)
    tasks = {
        protocol: Task(corpus, hold_out(corpus, Split.LOO, refit=protocol is Protocol.REFIT)) for protocol in Protocol
    }
    found = baselines(tasks, chosen.data, chosen.cache, not chosen.no_sasrec)
    for protocol, folder in ((Protocol.TRAIN_ONLY, chosen.train_only), (Protocol.REFIT, chosen.refit)):
        if folder is None:
            continue
        trained = runs.load(folder)
        ours = ranking.model(dataclasses.asdict(trained.settings), portrait.ranks(trained))
        for other in found[protocol].values():
            other["portrait_minus_this"] = ranking.compared(ours["ranks"], other["ranks"])
        found[protocol][ranking.PORTRAIT] = ours
    holdout = tasks[Protocol.TRAIN_ONLY].holdout
    report = json.loads((chosen.data / "report.json").read_text(encoding="utf-8"))
    content = {
        "data": chosen.name or report["source"],
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
    table = report.quality_table(content)
    results.write(name, content, table)
    report.plot(content, name)
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
