"""What a run is trained with: everything that decides its result, in one typed place."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.features.files.atomic_write import atomic_write
from portrait.training.enums import DEFAULT_BASE_MODEL, Demographic, FineTuning, Preset, Split
from portrait.training.errors import TrainingError
from portrait.training.ranges import require_in_range

BERT_LEARNING_RATES = {
    FineTuning.FULL: 1e-5,
    FineTuning.LORA: 2e-4,
    FineTuning.ADALORA: 1e-3,
    FineTuning.IA3: 3e-3,
    FineTuning.PREFIX: 1e-2,
    FineTuning.FROZEN: 1e-5,
}
"""Usual learning rates: few weights that begin at nothing take larger steps than many that know their work."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a run."""

    base_model: str = DEFAULT_BASE_MODEL
    finetune: FineTuning = FineTuning.FULL
    preset: Preset = Preset.QUICK
    split: Split = Split.LOO
    seed: int = 0

    dimension: int = 128
    """Length of text, item and profile vectors."""
    subspaces: int = 1
    """Equal parts of the vectors, each trained and compared by itself: an ensemble."""
    layers: int = 2
    heads: int = 2
    dropout: float = 0.4
    residual_dropout: float = 0.1
    """Share of residuals that are dropped at a step: there, words alone stand for the item."""
    scale: float = 20.0
    """Softmax scale (one over the temperature) at the start; it is learnt."""

    max_epochs: int = 8
    max_steps: int = 1300
    patience: int = 2
    """Epochs without a better validation NDCG@10 after which training ends."""
    batch_events: int = 1024
    """Events in a batch, padding included."""
    pairs_per_window: int = 16
    gradient_accumulation: int = 1
    """Batches whose gradients are added up before a step."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    bert_learning_rate: float = 1e-5
    """Of the BERT. What suits a tuning, if the caller names none: see `BERT_LEARNING_RATES`."""
    frozen_bert_share: float = 0.75
    """Share of the steps after which the BERT joins: before, its vectors are good and the rest is not."""
    bert_every_steps: int = 4
    """The BERT then takes part in every so many steps: its optimiser costs as much for few texts as for many."""
    bert_texts_per_step: int = 64
    """Texts that it reads anew, with gradients, at such a step; the others stand in a cache."""
    max_full_softmax_items: int = 20_000
    """Catalogues up to this size are scored whole at each step; larger ones by `negatives` sampled items."""
    sampled_negatives: int = 2048

    position_bias: bool = True
    """Weight events by the inverse of how likely the position where they were shown is looked at, where it is known."""

    association_decay: float = 0.7
    """What an event counts against one a moment later, in what came before."""
    association_target_decay: float = 0.5
    """What an event counts against one a moment earlier, in what came after."""
    association_ridge: float = 10.0
    """λ of the linear fit."""

    cold_item_boost: float = 1.0
    """Nats added to the score of items without events. They have no better way to get any: 0 shows them as seldom as
    they were asked for among known items."""

    erase: tuple[Demographic, ...] = ()
    """Declared attributes that no linear function of a profile shall tell; see `conceal`."""

    refit: bool = False
    """Train once more on training and validation events, as long as was best by validation."""

    @classmethod
    def from_preset(cls, preset: Preset, **overrides: Any) -> "TrainSettings":
        """The settings of a preset, with the caller's own choices.

        Raises:
            TrainingError: a choice is none of ours, or can't be met.
        """
        effort: dict[str, Any] = {}
        if preset is Preset.BEST:
            effort = {
                "refit": True,
                "subspaces": 2,
                "dimension": 256,
                "max_epochs": 9,
                "max_steps": 20_000,
                "frozen_bert_share": 0.6,
            }
        _require_types(overrides, {field.name: type(field.default) for field in dataclasses.fields(cls)})
        rate = BERT_LEARNING_RATES[overrides.get("finetune", cls.finetune)]
        settings = cls(**{"preset": preset, "bert_learning_rate": rate, **effort, **overrides})
        settings._require_possible()
        return settings

    def _require_possible(self) -> None:
        require_in_range(dataclasses.asdict(self))
        if not self.base_model.strip():
            raise TrainingError("the setting 'base_model' is empty; name a folder or a model")
        if self.dimension % (self.subspaces * self.heads):
            raise TrainingError(
                f"dimension {self.dimension} can't be divided into {self.subspaces} subspaces of {self.heads} heads"
            )

    @staticmethod
    def read_overrides(path: Path) -> dict[str, Any]:
        """Choices for `of` from a JSON file, such as the `best.json` of a study.

        Raises:
            TrainingError: it holds no JSON object.
        """
        try:
            overrides = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise TrainingError(f"{path} is no settings file: {error}") from error
        if not isinstance(overrides, dict):
            raise TrainingError(f"{path} is no settings file: it holds no JSON object")
        try:
            return _parse_enums(overrides)
        except (ValueError, TypeError) as error:
            raise TrainingError(f"{path}: {error}") from error

    def write(self, path: Path) -> None:
        """Write the settings as JSON."""
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "TrainSettings":
        """The inverse of `write`.

        Raises:
            TrainingError: the file is missing or broken, or holds settings that are none of ours or out of range.
        """
        overrides = cls.read_overrides(path)
        return cls.from_preset(overrides.pop("preset", cls.preset), **overrides)


def _require_types(overrides: dict[str, Any], known: dict[str, type]) -> None:
    if unknown := sorted(set(overrides) - set(known)):
        raise TrainingError(f"there is no setting {unknown[0]!r}; there are {', '.join(sorted(known))}")
    for name, value in overrides.items():
        if type(value) is not known[name] and (known[name], type(value)) != (float, int):
            raise TrainingError(f"the setting {name!r} is of type {known[name].__name__}, not {value!r}")


def _parse_demographics(names: Iterable[str]) -> tuple[Demographic, ...]:
    return tuple(Demographic(name) for name in names)


def _parse_enums(data: dict[str, Any]) -> dict[str, Any]:
    """Fields as JSON holds them, with names of choices as the choices themselves."""
    kinds: dict[str, Callable[[Any], Any]] = {
        "finetune": FineTuning, "preset": Preset, "split": Split, "erase": _parse_demographics,
    }  # fmt: skip
    return {name: kinds[name](value) if name in kinds else value for name, value in data.items()}
