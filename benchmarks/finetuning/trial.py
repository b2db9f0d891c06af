"""One trial of fine-tuning, in a process of its own: `python -m benchmarks.finetuning.trial DATA FOLDER TUNING RATE`.

FOLDER then holds the run, the ranks of its validation targets, and `cost.json`, written last. The test is not
ranked: validation chooses first.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.ranking import portrait_ranks as portrait
from portrait.export import parity
from portrait.export.graphs import export, graphs
from portrait.export.precision import Precision
from portrait.training.encoders.model import PortraitModel
from portrait.training.enums import FineTuning, Preset
from portrait.training.errors import TrainingError
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun
from portrait.training.settings import TrainSettings

RUN, VALIDATION, COST = "run", "validation.npy", "cost.json"


def measure(data: Path, folder: Path, tuning: FineTuning, rate: float) -> None:
    """Train `--preset quick` from scratch, and write its cost and its ranks of the validation targets.

    Args:
        data: folder of a prepared data set.
        folder: the method's own; what a stopped call left there is removed.
        tuning: the way.
        rate: learning rate of the BERT.

    Raises:
        TrainingError: data or tuning do not allow it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    settings = TrainSettings.from_preset(Preset.QUICK, finetune=tuning, bert_learning_rate=rate)
    began = time.perf_counter()
    runs.train_run(data, folder / RUN, settings)
    seconds = time.perf_counter() - began
    # Before anything else is done in this process: the peak is the training's own.
    used = resource.getrusage(resource.RUSAGE_SELF)
    trained = runs.load_run(folder / RUN)
    np.save(folder / VALIDATION, portrait.rank_targets(trained, trained.holdout.validation))
    cost = {
        "rate": rate,
        "parameters": _count_parameters(settings, len(trained.corpus.items)),
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_gib": used.ru_maxrss / 2**20,
        "parity": _measure_parity(trained),
    }
    (folder / COST).write_text(json.dumps(cost, indent=2) + "\n", encoding="utf-8")


def _count_parameters(settings: TrainSettings, items: int) -> dict[str, int]:
    """Count the trained parameters: of the BERT, and of the whole model."""
    model = PortraitModel(settings, items)

    def trained(module: Any) -> int:
        return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)

    return {"text": trained(model.text.bert), "all": trained(model)}


def _measure_parity(trained: TrainedRun) -> float:
    """Measure the largest difference of an embedding's entry between the exported text encoder and the trained one."""
    [text] = [graph for graph in graphs(trained) if graph.name == "text_encoder"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(text, trained.settings.dimension, Precision.FP32, path)
        return parity.check_runtime(text, path, trained.settings.dimension, Precision.FP32).difference


def main(arguments: list[str]) -> int:
    """Measure one trial; return the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.tuning.method", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tuning", type=FineTuning)
    parser.add_argument("rate", type=float)
    chosen = parser.parse_args(arguments)
    try:
        measure(chosen.data, chosen.folder, chosen.tuning, chosen.rate)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
