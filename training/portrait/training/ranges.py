"""Ranges of all settings that are numbers, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portrait.training.errors import TrainingError


@dataclass(frozen=True)
class Range:
    """Range of a number from `low` to `high`, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high  # which NaN is not

    def __str__(self) -> str:
        return f"{self.low:.12g} to {self.high:.12g}"


RANGES = {
    # A study adds the number of its trials, and NumPy takes 32 bits.
    "seed": Range(0, 2**31 - 1),
    "dimension": Range(4, 4096),
    "subspaces": Range(1, 16),
    "layers": Range(1, 24),
    "heads": Range(1, 64),
    # A dropout of 1 leaves nothing to learn from.
    "dropout": Range(0, 0.95),
    "residual_dropout": Range(0, 1),
    "scale": Range(0.01, 1000),
    "max_epochs": Range(1, 10_000),
    "max_steps": Range(1, 100_000_000),
    "patience": Range(0, 10_000),
    "batch_events": Range(1, 1_000_000),
    "pairs_per_window": Range(1, 100_000),
    "gradient_accumulation": Range(1, 10_000),
    "learning_rate": Range(1e-9, 1),
    "weight_decay": Range(0, 10),
    "bert_learning_rate": Range(0, 1),
    "adaptation_steps": Range(0, 1_000_000),
    "adaptation_pairs": Range(1, 100_000),
    "frozen_bert_share": Range(0, 1),
    "bert_every_steps": Range(1, 1_000_000),
    "bert_texts_per_step": Range(1, 100_000),
    "gradient_checkpointing_texts": Range(0, 100_000),
    "max_full_softmax_items": Range(0, 1_000_000_000),
    "sampled_negatives": Range(1, 10_000_000),
    "association_decay": Range(0, 1),
    "association_target_decay": Range(0, 1),
    "association_ridge": Range(1e-6, 1e12),
    "cold_item_boost": Range(-1000, 1000),
    # Of `portrait tune`.
    "trials": Range(1, 100_000),
    "minutes": Range(0, 10_000_000),
}
"""By name: fields of `TrainSettings` and options of `portrait tune`."""


def require_in_range(settings: Mapping[str, Any]) -> None:
    """Require that the settings that have a range keep to it; a value of None is not given.

    Raises:
        TrainingError: one does not; the message names it and its range.
    """
    for name, value in settings.items():
        if name in RANGES and value is not None and value not in RANGES[name]:
            raise TrainingError(f"the setting {name!r} must be from {RANGES[name]}, not {value!r}")
