"""How much of the BERT is fine-tuned."""

from typing import Any

from torch import nn

from portrait.training.choices import Tuning
from portrait.training.errors import TrainingError


def tune(bert: nn.Module, tuning: Tuning) -> nn.Module:
    """Prepare a BERT for fine-tuning; adapters go around the layers that BERT-type models name alike.

    Raises:
        TrainingError: the model has no layers of those names.
    """
    for parameter in bert.parameters():
        parameter.requires_grad = tuning is Tuning.FULL
    if tuning in (Tuning.FULL, Tuning.FROZEN):
        return bert
    from peft import get_peft_model

    try:
        return get_peft_model(bert, _adapter(tuning))
    except ValueError as error:
        raise TrainingError(f"--tuning {tuning} does not fit this base model ({error}); use --tuning full") from error


def _adapter(tuning: Tuning) -> Any:
    from peft import IA3Config, LoraConfig

    if tuning is Tuning.LORA:
        return LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05, target_modules=["query", "value"])
    return IA3Config(target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"])


def merge(bert: Any) -> nn.Module:
    """The plain BERT with its adapters folded in: what is exported."""
    return bert.merge_and_unload() if hasattr(bert, "merge_and_unload") else bert
