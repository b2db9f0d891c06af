"""The fine-tuned BERT: texts to unit vectors in the space that items, queries and profiles share."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel

from portrait.features.text.tokenizer import MAX_TOKENS, TextTokenizer
from portrait.training.encoders.base_model import load_config, load_weights
from portrait.training.encoders.subspaces import normalise_subspaces
from portrait.training.errors import TrainingError, to_one_line

_MIN_SPREAD = 0.01
"""Directions that texts spread less along than this share of the widest are not scaled up: much of them is noise."""


def is_causal(bert: nn.Module, vocabulary: int) -> bool:
    """Tell whether a token attends only to those before it, so that only the last has read the whole text.

    The model's output decides, since configurations name the property in many ways: of two texts that share their
    first token, a decoder gives that token the same state.
    """
    ids = torch.randint(vocabulary, (2, MAX_TOKENS), generator=torch.Generator().manual_seed(0))
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
        subspaces: equal parts of the vectors that are compared each by itself.
        pretrained: read the base model's weights; False builds it from its configuration alone.

    Raises:
        TrainingError: the base model is missing or broken, or reads no texts by itself.
    """

    def __init__(self, base_model: str, dimension: int, subspaces: int = 1, pretrained: bool = True) -> None:
        super().__init__()
        self.subspaces = subspaces
        # Eager attention is what the ONNX exporter turns into plain matrix products.
        options = {"attn_implementation": "eager"}
        try:
            self.bert: Any
            if pretrained:
                self.bert = load_weights(base_model, dtype=torch.float32, **options)
            else:
                self.bert = AutoModel.from_config(load_config(base_model), **options)
            self.vocabulary_size: int = self.bert.config.vocab_size
            self.pools_last_token = is_causal(self.bert, self.vocabulary_size)
            self.project = nn.Linear(self.bert.config.hidden_size, dimension, bias=False)
        except (ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            raise TrainingError(
                f"the base model {base_model!r} can't encode texts of {MAX_TOKENS} tokens ({to_one_line(error)})"
            ) from error
        nn.init.orthogonal_(self.project.weight)

    def require_vocabulary(self, tokenizer: TextTokenizer) -> None:
        """Require that the model has a vector for each token of a tokenizer.

        Raises:
            TrainingError: it has not: they are not of one base model.
        """
        if (tokens := tokenizer.vocabulary_size) > self.vocabulary_size:
            raise TrainingError(
                f"the tokenizer of the base model has {tokens} tokens, its weights are for {self.vocabulary_size}; "
                "they are not of one model"
            )

    @torch.no_grad()
    def fit_projection(self, pooled: Tensor) -> None:
        """Start the projection with the principal directions of some texts, the widest ones scaled down.

        A base model gives all texts of a shop much in common. Division by the root of each direction's spread leaves
        more room to what tells them apart; division by the spread itself would be whitening. A projection to more
        dimensions than the base model has keeps its random start.

        Args:
            pooled: `[texts, hidden]`.
        """
        dimension, hidden = self.project.weight.shape
        if dimension > hidden:
            return
        unit = functional.normalize(pooled.double().cpu(), dim=-1)
        variances, directions = torch.linalg.eigh(unit.T @ unit)
        variances, directions = variances.flip(0)[:dimension], directions.flip(1).T[:dimension]
        largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
        rows = directions * largest.sign() / variances.clamp(min=_MIN_SPREAD * float(variances[0])).unsqueeze(1) ** 0.25
        rows *= dimension**0.5 / torch.linalg.matrix_norm(rows)
        # Each subspace gets as many of the wide directions as the others.
        order = torch.arange(dimension).view(-1, self.subspaces).T.flatten()
        self.project.weight.copy_(rows[order].to(self.project.weight))

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The last hidden states of the real tokens as one: `[texts, tokens]` twice → `[texts, hidden]`.

        An encoder's are averaged. Of a decoder's, the last token's is taken: padding stands on the right.
        """
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pools_last_token:
            last = (attention_mask.sum(1) - 1).clamp(min=0)
            return hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[2])).squeeze(1)
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)

    def head(self, pooled: Tensor) -> Tensor:
        """`[texts, hidden]` → `[texts, dimension]`, unit length."""
        return normalise_subspaces(self.project(pooled), self.subspaces)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """`[texts, tokens]` twice → `embedding [texts, dimension]`, unit length."""
        return self.head(self.pool(input_ids, attention_mask))
