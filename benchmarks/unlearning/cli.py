"""Unlearning under attack: `python -m benchmarks unlearning SOURCE`.

A fifth of the shoppers of SOURCE is seen by no model. Of all others, 5% and 20% are forgotten: `portrait unlearn` makes
the next run, and `portrait train` a new one, from the same data set. A membership attack, which is calibrated on models
that saw neither the forgotten nor the unseen, tells the former from the latter before and after. Results go to
`benchmarks/results/`.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, make_parser
from benchmarks.common.ranking.portrait_ranks import rank_targets
from benchmarks.common.ranking.tables import compare_paired, compute_metrics
from benchmarks.unlearning import report
from benchmarks.unlearning.attack import SIGNALS, Attacked, measure_auc
from benchmarks.unlearning.sets import ShopperSets, draw_sets, write_deletions
from portrait.training import checkpoints
from portrait.training.dataset.corpus import load_corpus
from portrait.training.run import run as runs
from portrait.training.run.kept_baselines import rank_validation
from portrait.training.run.run import TrainedRun

PERCENTAGES = (5, 20)
"""Shares of the shoppers that are forgotten, as in CURE4Rec (Chen et al. 2024, arXiv 2408.14393)."""
SETTINGS = {"finetune": "frozen", "dimension": 64}
"""Smaller than the default, so that several trainings end on two cores; the base model is left as it is."""


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if all targets are met, else 1."""
    parser = make_parser("unlearning", __doc__)
    add_source(parser)
    parser.add_argument(
        "--forget", type=int, nargs="+", default=PERCENTAGES, choices=range(1, 51), metavar="PERCENT",
        help="shares of the shoppers that are forgotten (5 20)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    work = (options.work or steps.work_folder(options.source)) / "unlearning"
    chosen = " ".join(map(str, options.forget))
    where = results.describe_circumstances(f"python -m benchmarks unlearning SOURCE --forget {chosen}")
    everybody = load_corpus(steps.prepare_source(options.source, work / "everybody"))
    sets = draw_sets(len(everybody.shopper_ids), tuple(options.forget))
    folders = _make_runs(options.source, work, everybody.shopper_ids, sets)
    loaded = {name: runs.load_run(folder) for name, folder in folders.items()}
    content = {
        "data": options.source.resolve().name,
        "circumstances": where,
        "settings": SETTINGS,
        "shoppers": {"all": len(everybody.shopper_ids), "unseen": len(sets.unseen)},
        "sets": _attack(Attacked.choose(everybody, loaded["before"], _list_attacked(sets)), sets, loaded),
    }
    comparison = _time_comparison(loaded[f"retrained {min(options.forget)}"])
    for percent, measured in content["sets"].items():
        measured |= _compare(loaded, percent, sets.largest) | _time(loaded, percent, comparison)
        measured["targets"] = report.judge(percent, measured)
    text = report.format_report(content)
    results.write_results(f"unlearning-{content['data']}", content, text)
    print(text)
    return 0 if all(row["passed"] for measured in content["sets"].values() for row in measured["targets"]) else 1


def _make_runs(source: Path, work: Path, shopper_ids: list[str], sets: ShopperSets) -> dict[str, Path]:
    """Prepare and train everything; return the folders of the runs by name."""
    work.mkdir(parents=True, exist_ok=True)
    settings = work / "settings.json"
    settings.write_text(json.dumps(SETTINGS) + "\n", encoding="utf-8")
    names = np.array(shopper_ids, dtype=object)

    def prepare(name: str, left: list[np.ndarray[Any, Any]]) -> Path:
        listed = write_deletions(names[np.concatenate(left)].tolist(), work / name / "left-out.csv")
        return steps.prepare_without(source, listed, work / name / "data")

    before = steps.train_run(prepare("members", [sets.unseen]), work / "members" / "run", "--settings", str(settings))
    folders = {"before": before}
    for percent, forgotten in sets.forgotten.items():
        data, folder = prepare(f"without-{percent}", [sets.unseen, forgotten]), work / f"without-{percent}"
        folders[f"retrained {percent}"] = steps.train_run(data, folder / "run", "--settings", str(settings))
        folders[f"unlearnt {percent}"] = steps.unlearn_run(before, data, folder / "unlearnt")
    largest = work / f"without-{sets.largest}"
    folders["reference"] = steps.train_run(
        largest / "data", largest / "reference", "--settings", str(settings), "--seed", "1"
    )
    return folders


def _list_attacked(sets: ShopperSets) -> np.ndarray[Any, Any]:
    return np.concatenate([sets.unseen, sets.forgotten[sets.largest]])


def _attack(attacked: Attacked, sets: ShopperSets, loaded: dict[str, TrainedRun]) -> dict[int, dict[str, Any]]:
    """Attack every run of every set; by percentage."""
    losses = {}
    for name, run in loaded.items():
        losses[name] = attacked.measure(run)
        print(f"attacked: {name}", flush=True)
    found: dict[int, dict[str, Any]] = {}
    for percent, forgotten in sets.forgotten.items():
        aucs = {}
        for name in losses:
            if name == "before" or name.endswith(f" {percent}"):
                # No model is compared with itself.
                others = {"reference", f"retrained {sets.largest}"} - {name}
                scores = attacked.score(losses[name], [losses[each] for each in sorted(others)])
                aucs[name] = {signal: measure_auc(scores[signal], forgotten, sets.unseen) for signal in SIGNALS}
        found[percent] = {"forgotten": len(forgotten), "auc": aucs}
    return found


def _compare(loaded: dict[str, TrainedRun], percent: int, largest: int) -> dict[str, Any]:
    """Compare the quality of the unlearnt runs, and of a second training, with full retraining, on the same test."""
    names = [f"unlearnt {percent}", *(["reference"] if percent == largest else [])]
    retrained = f"retrained {percent}"
    ranks = {name: rank_targets(loaded[name]) for name in (retrained, *names)}
    return {
        "shoppers": len(ranks[retrained]),
        "quality": {name: compute_metrics(each)["NDCG@10"] for name, each in ranks.items()},
        "minus_retrained": {name: compare_paired(ranks[name], ranks[retrained])["NDCG@10"] for name in names},
    }


def _time(loaded: dict[str, TrainedRun], percent: int, comparison: float) -> dict[str, Any]:
    """Compare the processor time of unlearning, in seconds, with that of full retraining and its comparison."""
    retrained, unlearnt = (loaded[name] for name in (f"retrained {percent}", f"unlearnt {percent}"))
    whole = float(checkpoints.load_state(retrained.folder / runs.MODEL_FILE)["processor_seconds"])
    record = unlearnt.unlearning or {}
    return {
        "seconds": {"unlearnt": record["processor_seconds"], "retrained": whole, "baselines of retrained": comparison},
        "steps": {"unlearnt": record["steps"], "before": record["steps_of_training"]},
    }


def _time_comparison(retrained: TrainedRun) -> float:
    """Measure the processor time of a run's comparison with baselines, which unlearning does not make."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        rank_validation(Path(folder), retrained.corpus, retrained.holdout, retrained.settings.seed)
    return time.process_time() - began
