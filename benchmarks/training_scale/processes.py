"""Memory of processes that train encoders together: `python -m benchmarks training-processes [DATA…]`.

Logs of 100,000, a million and ten million events are generated and prepared, unless data sets are named. Two processes
and then one read each and train encoders for a few steps, with a BERT of one layer with random weights, since the
memory of models does not depend on the log. Results go to `benchmarks/results/` after each run.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModel, AutoTokenizer

from benchmarks.common import results
from benchmarks.common.cli import make_parser
from benchmarks.common.log_generator import SHOPPERS, write_parts
from benchmarks.common.process_trees import UsedByTree, run_tree
from benchmarks.common.processes import run_portrait
from portrait.training.dataset.data_set import REPORT_FILE
from portrait.training.encoders.base_model import find_base_model, load_config
from portrait.training.enums import DEFAULT_BASE_MODEL

NAME = "training-processes"
SIZES = (100_000, 1_000_000, 10_000_000)
COUNTS = (2, 1)
STEPS = 20
_EVENTS_PER_SHOPPER = 25


@dataclass(frozen=True)
class Training:
    """Some processes that trained on one log."""

    events: int
    """Events of the data set, after cleaning."""
    processes: int
    used: UsedByTree
    """By all processes together, that which starts them included."""
    own_gib: list[float]
    """Anonymous memory of each process at its highest, by rank."""


def measure(data: Path, count: int, base_model: Path, folder: Path) -> Training:
    """Train in so many processes, in an empty folder.

    Raises:
        BenchmarkError: a process failed.
    """
    settings = folder / "settings.json"
    chosen = {"base_model": str(base_model), "max_steps": STEPS, "max_epochs": 1, "adaptation_steps": 1}
    settings.write_text(json.dumps(chosen), encoding="utf-8")
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m"] if count > 1 else []
    worker = ["benchmarks.training_scale.encoders", *map(str, (data, folder / "run", settings))]
    command = [sys.executable, "-m", *launch, *worker]
    used, own = run_tree(command, os.environ | {"OMP_NUM_THREADS": "1"})
    pids = [json.loads((folder / f"process-{rank}.json").read_text(encoding="ascii")) for rank in range(count)]
    events = json.loads((data / REPORT_FILE).read_text(encoding="utf-8"))["kept"]
    return Training(events, count, used, [own[pid] for pid in pids])


@contextmanager
def prepare_log(events: int) -> Iterator[Path]:
    """Generate a log and prepare it; yield the folder of the data set, which is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        log, data = Path(folder) / "events", Path(folder) / "data"
        log.mkdir()
        write_parts(log, events, seed=0, shoppers=min(SHOPPERS, events // _EVENTS_PER_SHOPPER))
        run_portrait("prepare", str(log), str(data))
        yield data


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
        f"{results.format_origin(content['circumstances'])} Each process reads the data set and trains encoders for "
        f"{STEPS} steps, with a BERT of one layer and one thread. Time is from start to end. Own memory is what a "
        "process shares with no other (anonymous pages), at its highest. That of all processes adds pages of files, "
        "such as libraries and mapped arrays, which count once; the kernel may drop these where memory is scarce.",
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
    """Measure all data sets, one after another."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument("data", type=Path, nargs="*", help="prepared data sets; logs are generated if none is named")
    options = parser.parse_args(arguments)
    named = " DATA" * len(options.data)
    content: dict[str, Any] = {
        "circumstances": results.describe_circumstances(f"python -m benchmarks {NAME}{named}"), "trainings": []
    }  # fmt: skip
    data_sets: list[AbstractContextManager[Path]] = [nullcontext(data) for data in options.data] or [
        prepare_log(events) for events in SIZES
    ]
    with tempfile.TemporaryDirectory() as common:
        base_model = write_small_bert(Path(common) / "bert")
        for data_set in data_sets:
            with data_set as data:
                for count in COUNTS:
                    with tempfile.TemporaryDirectory() as folder:
                        training = measure(data, count, base_model, Path(folder))
                    content["trainings"].append(asdict(training))
                    results.write_results(NAME, content, format_report(content))
    print(format_report(content))
    return 0
