"""Memory of processes that train encoders together: `python -m benchmarks training-processes`.

Logs of 100,000, a million and ten million events are generated and prepared, unless `--events` names other sizes. One
process and then two read each and train encoders for a few steps, with a BERT of one layer with random weights, since
the memory of models does not depend on the log. Results go to `benchmarks/results/` after each run.
"""

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModel, AutoTokenizer

from benchmarks.common import results
from benchmarks.common.cli import make_parser
from benchmarks.common.log_generator import SHOPPERS, write_parts
from benchmarks.common.process_trees import UsedByTree, run_tree
from benchmarks.common.processes import run_portrait
from portrait.training.encoders.base_model import find_base_model, load_config
from portrait.training.enums import DEFAULT_BASE_MODEL

NAME = "training-processes"
SIZES = (100_000, 1_000_000, 10_000_000)
COUNTS = (1, 2)
STEPS = 20
_EVENTS_PER_SHOPPER = 25


@dataclass(frozen=True)
class Training:
    """Some processes that trained on one log."""

    events: int
    processes: int
    used: UsedByTree
    """By all processes together, that which starts them included."""
    own_gib: list[float]
    """Anonymous memory of each process at its highest, by rank."""


def measure(data: Path, events: int, count: int, base_model: Path, folder: Path) -> Training:
    """Train in so many processes, in an empty folder.

    Raises:
        BenchmarkError: a process failed.
    """
    settings = folder / "settings.json"
    chosen = {"base_model": str(base_model), "max_steps": STEPS, "max_epochs": 1, "adaptation_steps": 1}
    settings.write_text(json.dumps(chosen), encoding="utf-8")
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m"] if count > 1 else []
    command = [sys.executable, "-m", *launch, "benchmarks.training_scale.encoders", data, folder / "run", settings]
    used, own = run_tree(command, os.environ | {"OMP_NUM_THREADS": "1"})
    pids = [json.loads((folder / f"process-{rank}.json").read_text(encoding="ascii")) for rank in range(count)]
    return Training(events, count, used, [own[pid] for pid in pids])


def prepare(events: int, folder: Path) -> Path:
    """Generate a log in a folder and prepare it; return the folder of the data set."""
    log = folder / "events"
    log.mkdir()
    write_parts(log, events, seed=0, shoppers=min(SHOPPERS, events // _EVENTS_PER_SHOPPER))
    run_portrait("prepare", str(log), str(folder / "data"))
    return folder / "data"


def write_small_bert(folder: Path) -> Path:
    """Write a BERT of one layer with random weights, and the default base model's tokenizer."""
    config = load_config(find_base_model(DEFAULT_BASE_MODEL))
    config.num_hidden_layers = 1
    AutoModel.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(find_base_model(DEFAULT_BASE_MODEL)).save_pretrained(folder)
    return folder


def format_report(content: dict[str, Any]) -> str:
    """Format a table with a row for each training."""
    lines = [
        "# Processes that train together",
        "",
        f"{results.format_origin(content['circumstances'])} Generated logs; each process reads the data set and trains "
        f"encoders for {STEPS} steps, with a BERT of one layer and one thread. Time is from start to end. Own memory is "
        "what a process shares with no other (anonymous pages), at its highest; that of all processes adds pages of "
        "files, such as libraries and mapped arrays, which count once. The kernel may drop the latter where memory is "
        "scarce.",
        "",
        "| events | processes | s | CPU s | own memory of each, GiB | all, GiB |",
        "|---|---|---|---|---|---|",
    ]
    for row in content["trainings"]:
        own = ", ".join(f"{gib:.2f}" for gib in row["own_gib"])
        lines.append(
            f"| {row['events']:,} | {row['processes']} | {row['used']['seconds']:,.0f} | "
            f"{row['used']['cpu_seconds']:,.0f} | {own} | {row['used']['peak_gib']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Measure all sizes, one after another."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES, help="lengths of the logs (%(default)s)")
    options = parser.parse_args(arguments)
    circumstances = results.describe_circumstances(f"python -m benchmarks {' '.join([NAME, *arguments])}")
    content: dict[str, Any] = {"circumstances": circumstances, "trainings": []}
    with tempfile.TemporaryDirectory() as common:
        base_model = write_small_bert(Path(common) / "bert")
        for events in options.events:
            with tempfile.TemporaryDirectory() as work:
                data = prepare(events, Path(work))
                for count in COUNTS:
                    with tempfile.TemporaryDirectory() as folder:
                        training = measure(data, events, count, base_model, Path(folder))
                    content["trainings"].append(asdict(training))
                    results.write_results(NAME, content, format_report(content))
    print(format_report(content))
    return 0
