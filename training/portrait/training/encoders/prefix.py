"""A BERT whose layers see learnt keys and values before those of the words: prefix tuning (Li and Liang 2021)."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from portrait.features.text.tokenizer import MAX_TOKENS

PREFIX_TOKENS = 8
"""Length of the prefix."""
_INITIAL_STD = 0.02
"""Standard deviation at the start. The 1 that peft begins with drowns the words."""


class PrefixTunedModel(nn.Module):
    """A frozen BERT and its prefix.

    Args:
        bert: an encoder or decoder that takes a cache of keys and values.

    Raises:
        ValueError, TypeError, RuntimeError, IndexError: it takes none, or has no positions for the longest text.
    """

    def __init__(self, bert: PreTrainedModel) -> None:
        super().__init__()
        from peft import PrefixTuningConfig, TaskType, get_peft_model

        self.first_position = _find_first_position(bert)
        config = PrefixTuningConfig(task_type=TaskType.FEATURE_EXTRACTION, num_virtual_tokens=PREFIX_TOKENS)
        self.adapted = get_peft_model(bert, config)
        nn.init.normal_(self.adapted.get_parameter("prompt_encoder.default.embedding.weight"), std=_INITIAL_STD)
        longest = torch.zeros(1, MAX_TOKENS, dtype=torch.int64)
        with torch.no_grad():
            self(longest, torch.ones_like(longest))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """Return the BERT's output for the words alone; both inputs are `[texts, tokens]`.

        The words keep the position numbers of a text without a prefix. peft counts them from behind the prefix by
        default, which turns untrained vectors of MiniLM by up to 30 degrees.
        """
        positions = torch.arange(input_ids.shape[1], device=input_ids.device).unsqueeze(0) + self.first_position
        # peft adds the prefix's length to the positions that it is given.
        return self.adapted(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions - PREFIX_TOKENS)


def _find_first_position(bert: PreTrainedModel) -> int:
    """Number of a text's first place: RoBERTa and its kin have two rows before it."""
    table = getattr(getattr(bert, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1
