"""Settings of a run: everything that decides its result, in one typed place."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.features.files.atomic_write import atomic_write
from portrait.training.enums import DEFAULT_BASE_MODEL, Demographic, FineTuning, Preset, Split, TrainingPrecision
from portrait.training.errors import TrainingError
from portrait.training.ranges import require_in_range

BERT_LEARNING_RATES = {
    FineTuning.FULL: 1e-5,
    FineTuning.LORA: 2e-4,
    FineTuning.ADALORA: 1e-3,
    FineTuning.IA3: 3e-3,
    FineTuning.PREFIX: 1e-2,
    FineTuning.FROZEN: 1e-5,
    FineTuning.AUTO: 1e-5,
}
"""Usual learning rates: few new weights take larger steps than many pretrained ones."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a run."""

    base_model: str = DEFAULT_BASE_MODEL
    finetune: FineTuning = FineTuning.AUTO
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
    """Share of residuals that are dropped at a step, so that the text alone stands for the item."""
    scale: float = 20.0
    """Softmax scale (one over the temperature) at the start; it is learnt."""

    max_epochs: int = 40
    max_steps: int = 1300
    patience: int = 2
    """Epochs without a better validation NDCG@10 after which training ends."""
    batch_events: int = 1024
    """Slots in a batch, padding included: events of one moment and one type are one slot."""
    pairs_per_window: int = 16
    gradient_accumulation: int = 1
    """Batches whose gradients are added up before a step."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    bert_learning_rate: float = 1e-5
    """Learning rate of the BERT; by default the one of the fine-tuning method in `BERT_LEARNING_RATES`."""
    adaptation_steps: int = 15
    """Steps in which the BERT alone adapts to the shop's texts, before the other encoders are trained; 0 for none."""
    adaptation_pairs: int = 128
    """Pairs of texts at such a step, which compete with each other."""
    frozen_bert_share: float = 0.75
    """Share of the steps in which the BERT stays frozen, until the new layers have stabilised."""
    bert_every_steps: int = 4
    """After that, the BERT is trained in every n-th step: its optimiser costs as much for few texts as for many."""
    bert_texts_per_step: int = 64
    """Texts that the BERT encodes with gradients at such a step; the vectors of all others come from a cache."""
    gradient_checkpointing_texts: int = 0
    """Texts of such a step whose activations are in memory at once; the backward pass encodes the texts anew, this many
    at a time (Chen et al. 2016). 0 keeps the activations of all."""
    precision: TrainingPrecision = TrainingPrecision.AUTO
    max_full_softmax_items: int = 20_000
    """Largest catalogue that is scored whole at each step; a larger one is scored by `sampled_negatives` items."""
    sampled_negatives: int = 2048

    position_bias: bool = True
    """Weight events with a known position by the inverse of the probability that the position is looked at."""

    association_decay: float = 0.7
    """Decay of an event's weight per moment before the target."""
    association_target_decay: float = 0.5
    """Decay of a target's weight per moment after the context."""
    association_ridge: float = 10.0
    """λ of the linear fit."""

    cold_item_boost: float = 1.0
    """Nats added to the score of cold items, so that they can gain events. With 0 they are shown only as often as known
    items with similar text are wanted."""

    erase: tuple[Demographic, ...] = ()
    """Declared attributes that are erased from profiles; see `encoders.concept_erasure`."""

    refit: bool = False
    """Train once more on training and validation events, for the number of epochs that validation chose."""

    @classmethod
    def from_preset(cls, preset: Preset, **overrides: Any) -> "TrainSettings":
        """Return the settings of a preset with the caller's overrides.

        A base model that is a folder gets its full path: later commands read it too, perhaps from another folder.

        Raises:
            TrainingError: an override is unknown or impossible.
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
        if (name := overrides.get("base_model")) and Path(name).is_dir():
            overrides["base_model"] = str(Path(name).absolute())
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
        """Read overrides for `from_preset` from a JSON file, such as the `best.json` of a study.

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
        """Read settings that `write` wrote.

        Raises:
            TrainingError: the file is missing or broken, or a setting in it is unknown or out of range.
        """
        overrides = cls.read_overrides(path)
        return cls.from_preset(overrides.pop("preset", cls.preset), **overrides)


def _require_types(overrides: dict[str, Any], known: dict[str, type]) -> None:
    if unknown := sorted(set(overrides) - set(known)):
        raise TrainingError(f"there is no setting {unknown[0]!r}; there are {', '.join(sorted(known))}")
    for name, value in overrides.items():
        if type(value) is not known[name] and (known[name], type(value)) != (float, int):
            raise TrainingError(f"the setting {name!r} is of type {known[name].__name__}, not {value!r}")


def parse_demographics(names: str) -> tuple[Demographic, ...]:
    """Parse names of declared attributes, separated by commas; a repeated one counts once.

    Raises:
        TrainingError: there is no attribute of a name.
    """
    chosen = list(dict.fromkeys(name.strip() for name in names.split(",")))
    if unknown := [name for name in chosen if name not in set(Demographic)]:
        raise TrainingError(f"there is no declared attribute {unknown[0]!r}; there are {', '.join(Demographic)}")
    return _make_demographics(chosen)


def _make_demographics(names: Iterable[str]) -> tuple[Demographic, ...]:
    return tuple(Demographic(name) for name in names)


def _parse_enums(data: dict[str, Any]) -> dict[str, Any]:
    """Turn the names of enum members in JSON fields into the members."""
    kinds: dict[str, Callable[[Any], Any]] = {
        "finetune": FineTuning, "preset": Preset, "split": Split, "erase": _make_demographics,
        "precision": TrainingPrecision,
    }  # fmt: skip
    return {name: kinds[name](value) if name in kinds else value for name, value in data.items()}
