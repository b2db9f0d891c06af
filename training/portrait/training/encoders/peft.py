"""Parameter-efficient fine-tuning of the BERT, by adapters of the library peft or a prefix."""

from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from portrait.training.encoders.prefix import PrefixTunedModel
from portrait.training.enums import FineTuning
from portrait.training.errors import TrainingError

if TYPE_CHECKING:
    from peft import IA3Config, PeftConfig

LORA_RANK = 8
"""Rank of LoRA's updates, and average rank of AdaLoRA's once its budget is spent."""
ADALORA_INITIAL_RANK = 12
"""Rank of AdaLoRA's updates at the start."""
_ALL_LINEAR_LAYERS = "all-linear"


def apply_finetuning(bert: PreTrainedModel, finetune: FineTuning) -> nn.Module:
    """Prepare a BERT for fine-finetune.

    Adapters go where peft has them for the model's type; for types that it does not know, LoRA's go around all
    linear layers, and IA³'s where BERT has them.

    Raises:
        TrainingError: the model has no layers of those names, or takes no prefix.
    """
    for parameter in bert.parameters():
        parameter.requires_grad = finetune in (FineTuning.FULL, FineTuning.AUTO)
    if finetune in (FineTuning.FULL, FineTuning.AUTO, FineTuning.FROZEN):
        return bert
    from peft import get_peft_model

    try:
        return (
            PrefixTunedModel(bert)
            if finetune is FineTuning.PREFIX
            else get_peft_model(bert, _adapter_config(bert, finetune))
        )
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        raise TrainingError(
            f"--finetune {finetune} does not fit this base model ({error}); use --finetune full"
        ) from error


def _adapter_config(bert: PreTrainedModel, finetune: FineTuning) -> "PeftConfig":
    """The adapter's own configuration; peft fills in the layers that it leaves out."""
    from peft import AdaLoraConfig, LoraConfig

    if finetune is FineTuning.IA3:
        return _ia3_config(bert)
    options = {"lora_alpha": 2 * LORA_RANK, **_low_rank_options(bert, finetune)}
    if finetune is FineTuning.LORA:
        return LoraConfig(r=LORA_RANK, **options)
    # The steps are not known yet; `RankBudget` has them.
    return AdaLoraConfig(target_r=LORA_RANK, init_r=ADALORA_INITIAL_RANK, total_step=1, **options)


def _low_rank_options(bert: PreTrainedModel, finetune: FineTuning) -> dict[str, Any]:
    from peft.utils import (
        TRANSFORMERS_MODELS_TO_ADALORA_TARGET_MODULES_MAPPING,
        TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
    )

    known = {
        FineTuning.LORA: TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
        FineTuning.ADALORA: TRANSFORMERS_MODELS_TO_ADALORA_TARGET_MODULES_MAPPING,
    }[finetune]
    layers: dict[str, Any] = {"fan_in_fan_out": _has_transposed_weights(bert)}
    if bert.config.model_type in known:
        return layers
    layers["target_modules"] = _ALL_LINEAR_LAYERS
    if getattr(bert, "pooler", None) is not None:
        # It is for a task that is not ours: nothing of it reaches a text's vector.
        layers["exclude_modules"] = r"pooler\..*"
    return layers


def _ia3_config(bert: PreTrainedModel) -> "IA3Config":
    from peft import IA3Config
    from peft.utils import (
        TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING,
        TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING,
    )

    known = bert.config.model_type in TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING
    kind = bert.config.model_type if known else "bert"
    return IA3Config(
        target_modules=TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING[kind],
        feedforward_modules=TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING[kind],
        fan_in_fan_out=_has_transposed_weights(bert),
    )


def _has_transposed_weights(bert: PreTrainedModel) -> bool:
    """Tell whether the layers store transposed weights, as GPT-2's do."""
    return any(isinstance(module, Conv1D) for module in bert.modules())


def merge_adapters(bert: Any) -> nn.Module:
    """The BERT as it is exported: the plain one with its adapters folded in; a prefix stays what it is."""
    return bert.merge_and_unload() if hasattr(bert, "merge_and_unload") else bert


def finetuning_after_merge(finetune: FineTuning) -> FineTuning:
    """Return the method with which a model is rebuilt after its adapters are merged."""
    return finetune if finetune is FineTuning.PREFIX else FineTuning.FROZEN
