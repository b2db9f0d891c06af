"""Training steps of the encoders: throughput and peak memory, in float32 and in bfloat16.

Each step trains the BERT too, so it is the most expensive kind. The log is generated, and the base model is the default
one: only shapes count for the speed.
"""

import resource
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.log_generator import write_log
from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.dataset.splits import Holdout, hold_out
from portrait.training.encoders.samples import Batcher, build_training_samples
from portrait.training.encoders.trainer import Trainer
from portrait.training.enums import DEFAULT_BASE_MODEL, Preset, TrainingPrecision
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.sources import SOURCES
from portrait.training.run.untrained_model import make_untrained_model
from portrait.training.settings import TrainSettings


@dataclass(frozen=True)
class Size:
    """Size of the steps to measure."""

    events: int
    """Events of the log."""
    batch_events: int
    texts: int
    """Texts of a step that the BERT encodes with gradients."""
    steps: int
    """Measured steps, after one more that is not."""


GPU_SIZE = Size(events=1_000_000, batch_events=65_536, texts=2048, steps=30)
CPU_SIZE = Size(events=20_000, batch_events=1024, texts=16, steps=3)


@dataclass(frozen=True)
class StepRate:
    """Rate of the training steps of one number format."""

    precision: str
    gradient_checkpointing_texts: int
    milliseconds_per_step: float
    events_per_second: float
    """Events in the windows of a step, padding not counted."""
    texts_per_second: float
    """Texts that the BERT encodes with gradients."""
    peak_mib: float
    """Peak memory: on a GPU of its tensors, on a CPU of the process so far."""


def measure_steps(device: torch.device, size: Size, base_model: str = DEFAULT_BASE_MODEL) -> list[StepRate]:
    """Measure float32, bfloat16, and bfloat16 with gradient checkpointing."""
    with tempfile.TemporaryDirectory() as folder:
        log, data = Path(folder) / "log.csv", Path(folder) / "data"
        write_log(log, size.events, seed=0)
        prepare_data_set("events", lambda connection: SOURCES["events"].load(connection, log), data)
        corpus = load_corpus(data)
        holdout = hold_out(corpus, TrainSettings.split)
        return [
            _measure(corpus, holdout, device, size, _make_settings(size, base_model, *chosen), Path(folder))
            for chosen in (
                (TrainingPrecision.FP32, 0),
                (TrainingPrecision.BF16, 0),
                (TrainingPrecision.BF16, size.texts // 8),
            )
        ]


def _make_settings(size: Size, base_model: str, precision: TrainingPrecision, checkpointed: int) -> TrainSettings:
    return TrainSettings.from_preset(
        Preset.QUICK, base_model=base_model, batch_events=size.batch_events, bert_texts_per_step=size.texts,
        bert_every_steps=1, frozen_bert_share=0.0, precision=precision, gradient_checkpointing_texts=checkpointed,
    )  # fmt: skip


def _measure(
    corpus: Corpus, holdout: Holdout, device: torch.device, size: Size, settings: TrainSettings, folder: Path
) -> StepRate:
    model, cache, _ = make_untrained_model(corpus, holdout, settings, device)
    targets = holdout.learnt(corpus)
    trainer = Trainer(corpus, holdout, targets, model, cache, settings, folder)
    samples = build_training_samples(corpus, targets)
    batches = Batcher(corpus, samples, settings.batch_events, settings.pairs_per_window).split_epoch(
        np.random.default_rng(settings.seed)
    )
    # Long windows first, so that each format trains on the same, full batches.
    lengths = corpus.slot_start[samples.window_end] - samples.first_event
    batches.sort(key=lambda windows: -int(lengths[windows].sum()))
    events = sum(int(lengths[each].sum()) for each in batches[1 : size.steps + 1])
    trainer.train_step([batches[0]])
    _start_peak(device)
    began = time.perf_counter()
    steps = 0
    for windows in islice(batches, 1, size.steps + 1):
        trainer.train_step([windows])  # reads the loss, so it waits for the device
        steps += 1
    seconds = time.perf_counter() - began
    return StepRate(
        precision=settings.precision.value,
        gradient_checkpointing_texts=settings.gradient_checkpointing_texts,
        milliseconds_per_step=round(1e3 * seconds / steps, 1),
        events_per_second=round(events / seconds, 1),
        texts_per_second=round(size.texts * steps / seconds, 1),
        peak_mib=round(_read_peak(device) / 2**20, 1),
    )


def _start_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _read_peak(device: torch.device) -> int:
    """Read the peak memory in bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
