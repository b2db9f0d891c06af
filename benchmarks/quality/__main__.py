"""Portrait against its baselines: `python -m benchmarks.quality DATA [--train-only RUN] [--refit RUN]`.

DATA is a prepared data set. A run of `portrait train --preset best` holds both protocols: the refit, and in its
folder `train-only` the run that chose its settings. Results go to `benchmarks/results/`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import results, sasrec
from benchmarks.quality.baselines import BASELINES
from benchmarks.quality.protocol import Protocol, Scorer, Task
from portrait.training import corpus as corpora
from portrait.training import run as runs
from portrait.training.choices import Split
from portrait.training.errors import TrainingError
from portrait.training.evaluation import rank_test
from portrait.training.retrieval import ranks_of
from portrait.training.splits import hold_out

RESULTS = Path(__file__).parents[1] / "results"


def baselines(tasks: dict[Protocol, Task], with_sasrec: bool) -> dict[Protocol, dict[str, dict[str, Any]]]:
    """Settings and test ranks of every baseline under every protocol; settings come from training events alone."""
    found: dict[Protocol, dict[str, dict[str, Any]]] = {protocol: {} for protocol in tasks}
    models: list[tuple[str, Any]] = [(baseline.name, baseline) for baseline in BASELINES]
    if with_sasrec:
        models.append(("SASRec, softmax", sasrec))
    for name, model in models:
        settings, scorer = model.tuned(tasks[Protocol.TRAIN_ONLY])
        for protocol, task in tasks.items():
            if protocol is Protocol.REFIT:
                scorer = model.fitted(task, settings)
            found[protocol][name] = _measured(task, scorer, settings)
            ndcg = found[protocol][name]["measures"]["NDCG@10"]["value"]
            print(f"{protocol}: {name} {settings}: NDCG@10 {ndcg:.4f}", flush=True)
    return found


def _measured(task: Task, scorer: Scorer, settings: dict[str, Any]) -> dict[str, Any]:
    ranks = task.ranks(scorer, task.holdout.test)
    return {"settings": settings, "ranks": ranks, "measures": results.measured(ranks)}


def portrait(folder: Path, task: Task) -> dict[str, Any]:
    """Test ranks of a trained run, as `portrait evaluate` has them."""
    trained = runs.load(folder)
    ranked = rank_test(trained)
    ranks: NDArray[np.int64] = np.full(len(task.holdout.test), -1)
    # Targets that nothing came before have no profile: they count as missed.
    places = np.searchsorted(task.holdout.test, ranked.vectors.targets)
    ranks[places] = ranks_of(ranked.items, task.corpus.event_item[ranked.vectors.targets])
    settings = json.loads((folder / runs.SETTINGS).read_text())
    return {"settings": settings, "ranks": ranks, "measures": results.measured(ranks)}


def main(arguments: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that `portrait prepare` wrote")
    parser.add_argument("--name", help="of the results; the data set's source if left out")
    parser.add_argument("--train-only", type=Path, help="run trained without the validation events")
    parser.add_argument("--refit", type=Path, help="run of `portrait train --preset best`")
    parser.add_argument("--no-sasrec", action="store_true", help="leave the slowest baseline out")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(chosen: argparse.Namespace) -> int:
    corpus = corpora.load(chosen.data)
    tasks = {
        protocol: Task(corpus, hold_out(corpus, Split.LOO, refit=protocol is Protocol.REFIT)) for protocol in Protocol
    }
    found = baselines(tasks, not chosen.no_sasrec)
    for protocol, folder in ((Protocol.TRAIN_ONLY, chosen.train_only), (Protocol.REFIT, chosen.refit)):
        if folder is None:
            continue
        ours = portrait(folder, tasks[protocol])
        for other in found[protocol].values():
            other["portrait_minus_this"] = results.compared(ours["ranks"], other["ranks"])
        found[protocol][results.PORTRAIT] = ours
    holdout = tasks[Protocol.TRAIN_ONLY].holdout
    report = json.loads((chosen.data / "report.json").read_text())
    content = {
        "data": chosen.name or report["source"],
        "circumstances": results.circumstances(),
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
    results.write(RESULTS, name, content, results.quality_table(content))
    results.plot(content, RESULTS / f"{name}.svg")
    print(results.quality_table(content))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
