"""Ways of fine-tuning the BERT, side by side: `python -m benchmarks finetuning SOURCE [--factors 1 4]`.

Every way is trained by `--preset quick`, train only, with one seed, at its usual learning rate times each factor, each
in a process of its own; validation chooses among the factors. Only then are the test targets ranked, once. Runs of a
call that was stopped are kept.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.errors import BenchmarkError
from benchmarks.common.ranking import portrait_ranks as portrait
from benchmarks.common.ranking import tables as ranking
from benchmarks.finetuning import trial
from portrait.training.enums import FineTuning
from portrait.training.metrics import ndcg
from portrait.training.run import run as runs
from portrait.training.settings import BERT_LEARNING_RATES

TEST = "test.npy"
_COLUMNS = (
    "tuning", "rate", "trained, of the BERT", "trained, all", "seconds", "CPU seconds", "peak GiB", "parity",
    "NDCG@10, validation", "95% interval", "minus frozen, paired", "NDCG@10, test", "95% interval",
    "minus frozen, paired",
)  # fmt: skip


def list_trials(work: Path, factors: list[float]) -> dict[FineTuning, list[tuple[Path, float]]]:
    """List folder and learning rate of all trials; a frozen BERT has no rate to choose."""
    rates = {tuning: [factor * usual for factor in factors] for tuning, usual in BERT_LEARNING_RATES.items()}
    rates[FineTuning.FROZEN] = [BERT_LEARNING_RATES[FineTuning.FROZEN]]
    return {tuning: [(work / f"{tuning}-{rate:g}", rate) for rate in rates[tuning]] for tuning in FineTuning}


def train_trial(data: Path, folder: Path, tuning: FineTuning, rate: float) -> dict[str, Any]:
    """Train a way at a rate if its trial is missing; return its cost and its NDCG@10 on validation.

    Raises:
        BenchmarkError: it could not be trained.
    """
    if not (folder / trial.COST).exists():
        arguments = [str(data), str(folder), tuning.value, str(rate)]
        command = [sys.executable, "-W", "ignore", "-m", trial.__name__, *arguments]
        if subprocess.run(command, check=False).returncode:
            raise BenchmarkError(f"{tuning} at the rate {rate:g} could not be trained")
    cost: dict[str, Any] = json.loads((folder / trial.COST).read_text(encoding="utf-8"))
    return cost | {"validation_ndcg@10": float(ndcg(np.load(folder / trial.VALIDATION), 10).mean())}


def choose_rate(data: Path, tuning: FineTuning, tried: list[tuple[Path, float]]) -> dict[str, Any]:
    """Choose the rate of a way by validation; return its cost, and its ranks of validation and test targets."""
    costs = [train_trial(data, folder, tuning, rate) for folder, rate in tried]
    best = int(np.argmax([cost["validation_ndcg@10"] for cost in costs]))
    folder = tried[best][0]
    if not (folder / TEST).exists():
        np.save(folder / TEST, portrait.rank_targets(runs.load_run(folder / trial.RUN)))
    ranks = {"validation": np.load(folder / trial.VALIDATION), "test": np.load(folder / TEST)}
    rates = {f"{cost['rate']:g}": cost["validation_ndcg@10"] for cost in costs}
    kept = {name: value for name, value in costs[best].items() if name != "validation_ndcg@10"}
    print(f"{tuning}: validation NDCG@10 by rate {rates}", flush=True)
    return {**kept, "tried": rates, "ranks": ranks}


def format_report(content: dict[str, Any]) -> str:
    """Format the ways as Markdown."""
    lines = [
        f"# Fine-tuning: {content['data']}",
        "",
        f"{results.format_origin(content['circumstances'])} `--preset quick`, train only, one seed; rates chosen on "
        f"validation among factors {', '.join(f'{factor:g}' for factor in content['factors'])} of the usual one; "
        f"{content['shoppers']:,} shoppers, all {content['items']:,} items ranked, seen items {content['seen_items']}; "
        "95% bootstrap intervals over shoppers. Seconds and peak memory are those of the whole training, the peak of "
        "its process; parity is the worst difference of the exported text encoder in ONNX Runtime.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
    ]
    lines += [_format_row(name, way) for name, way in content["ways"].items()]
    tried = [f"{name} {_format_rates(way['tried'])}" for name, way in content["ways"].items()]
    return "\n".join([*lines, "", f"NDCG@10 on validation by learning rate: {'; '.join(tried)}."]) + "\n"


def _format_row(name: str, way: dict[str, Any]) -> str:
    cells = [
        name, f"{way['rate']:g}" if way["parameters"]["text"] else "", f"{way['parameters']['text']:,}",
        f"{way['parameters']['all']:,}", f"{way['seconds']:.0f}", f"{way['cpu_seconds']:.0f}",
        f"{way['peak_gib']:.2f}", f"{way['parity']:.1e}",
    ]  # fmt: skip
    for part in ("validation", "test"):
        value = way[part]["measures"]["NDCG@10"]
        low, high = value["interval"]
        cells += [f"{value['value']:.4f}", f"{low:.4f} to {high:.4f}"]
        difference = way[part].get("minus_frozen")
        cells.append(_format_difference(difference["NDCG@10"]) if difference else "")
    return "| " + " | ".join(cells) + " |"


def _format_difference(paired: dict[str, Any]) -> str:
    low, high = paired["interval"]
    return f"{paired['difference']:+.4f} ({low:+.4f} to {high:+.4f})"


def _format_rates(rates: dict[str, float]) -> str:
    return ", ".join(f"{value:.4f} at {rate}" for rate, value in rates.items())


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("finetuning", __doc__)
    add_source(parser)
    parser.add_argument("--factors", type=float, nargs="+", default=[1.0], help="factors of the usual learning rates")
    parser.add_argument("--name", help="name of the results (that of the data set's source)")
    options = parser.parse_args(arguments)
    work = options.work or steps.work_folder(options.source)
    factors = " ".join(f"{factor:g}" for factor in options.factors)
    circumstances = results.describe_circumstances(f"python -m benchmarks finetuning SOURCE --factors {factors}")
    data = steps.prepare_source(options.source, work / "data")
    trials = list_trials(work / "finetuning", options.factors)
    ways = {tuning: choose_rate(data, tuning, tried) for tuning, tried in trials.items()}
    frozen = ways[FineTuning.FROZEN]["ranks"]
    for tuning, way in ways.items():
        for part, ranks in way.pop("ranks").items():
            way[part] = {"measures": ranking.compute_metrics(ranks)}
            if tuning is not FineTuning.FROZEN:
                way[part]["minus_frozen"] = ranking.compare_paired(ranks, frozen[part])
    any_run = runs.load_run(trials[FineTuning.FROZEN][0][0] / trial.RUN)
    content = {
        "data": options.name or read_source(data),
        "circumstances": circumstances,
        "factors": options.factors,
        "shoppers": len(any_run.holdout.test),
        "items": len(any_run.corpus.items),
        "seen_items": "masked" if any_run.holdout.mask_seen else "ranked",
        "ways": {tuning.value: way for tuning, way in ways.items()},
    }
    name = f"finetuning-{content['data']}"
    results.write_results(name, content, format_report(content))
    print(format_report(content))
    return 0
