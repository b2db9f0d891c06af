"""The trainable model: text encoder, item residuals and profile encoder, over a cache of text encoder outputs.

"BERT" stands for the base model of any architecture, as in the settings. "Pooled" is its output for one text, before
the projection of the text encoder to the dimension of items and profiles.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.dataset.corpus import Corpus
from portrait.training.encoders.peft import apply_finetuning
from portrait.training.encoders.samples import Batch
from portrait.training.encoders.subspaces import SubspaceProfileEncoder, normalise_subspaces
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.settings import TrainSettings


def supports_bfloat16(device: torch.device) -> bool:
    """Tell whether the hardware multiplies matrices in bfloat16 natively."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class TextCache:
    """Pooled BERT outputs of all texts; a training step recomputes only a few of them, with gradients.

    So the BERT encodes a text a few times in a whole run instead of once for each event. The price is that the other
    cached outputs come from weights that are some steps old, until `recompute`.
    """

    def __init__(self, encoder: TextEncoder, tokenizer: TextTokenizer, texts: Sequence[str]) -> None:
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._tokens = tokenizer.encode(texts)
        self.pooled = torch.zeros(len(texts), encoder.project.in_features)
        self._fresh_index = torch.full((len(texts),), -1)
        self._fresh: Tensor | None = None

    def encode_texts(self, rows: NDArray[np.int64]) -> Tensor:
        """Encode some texts: `[rows]` → `[rows, hidden]`, with gradients if they are enabled; the cache is not used."""
        device = next(self._encoder.parameters()).device
        batch = self._tokenizer.pad([self._tokens[row] for row in rows])
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=supports_bfloat16(device)):
            pooled = self._encoder.pool(
                torch.from_numpy(batch.input_ids).to(device),
                torch.from_numpy(batch.attention_mask).to(device),
            )
        return pooled.float()

    @torch.no_grad()
    def recompute(self, rows: NDArray[np.int64] | None = None, batch: int = 64) -> None:
        """Recompute the cached outputs of all texts, or of `rows`; texts of similar length share a batch."""
        chosen = np.arange(len(self._tokens)) if rows is None else rows
        order = chosen[np.argsort([len(self._tokens[row]) for row in chosen], kind="stable")]
        for begin in range(0, len(order), batch):
            part = order[begin : begin + batch]
            self.pooled[part] = self.encode_texts(part).cpu()

    def refresh(self, rows: NDArray[np.int64]) -> None:
        """Encode some texts with gradients, which `lookup` passes on until the next call; the values are cached."""
        self._fresh = self.encode_texts(rows)
        self._fresh_index.fill_(-1)
        self._fresh_index[rows] = torch.arange(len(rows))
        self.pooled[rows] = self._fresh.detach()

    def detach(self) -> None:
        """Drop the gradients of the texts of the last `refresh`; their values stay."""
        self._fresh = None

    def lookup(self, rows: Tensor) -> Tensor:
        """Look up `[…]` rows of texts → `[…, hidden]`; gradients flow to those of the last `refresh`."""
        stored = self.pooled[rows]
        if self._fresh is None:
            return stored
        fresh_row = self._fresh_index[rows]
        return torch.where((fresh_row >= 0).unsqueeze(-1), self._fresh[fresh_row.clamp(min=0)], stored)


class PortraitModel(nn.Module):
    """Text encoder, profile encoder and, per item, a residual: what behaviour adds to the vector of its text."""

    def __init__(self, settings: TrainSettings, items: int, pretrained: bool = True) -> None:
        super().__init__()
        self.subspaces = settings.subspaces
        self.text = TextEncoder(settings.base_model, settings.dimension, settings.subspaces, pretrained)
        self.text.bert = apply_finetuning(self.text.bert, settings.finetune)
        self.profile = SubspaceProfileEncoder(
            settings.subspaces, settings.dimension, settings.layers, settings.heads, settings.dropout
        )
        self.residual = nn.Embedding(items, settings.dimension)
        nn.init.normal_(self.residual.weight, std=0.02)
        self.residual_dropout = settings.residual_dropout
        self.scale = nn.Parameter(torch.tensor(settings.scale))

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off, except in the BERT: the cache must hold outputs as an export computes them."""
        super().train(mode)
        self.text.eval()
        return self

    def encode_items(self, cache: TextCache, corpus: Corpus, items: Tensor) -> Tensor:
        """Encode items: `[items]` rows → `[items, dimension]`, unit length: the text's vector plus the residual."""
        return self._add_residual(cache.lookup(torch.from_numpy(corpus.item_text)[items]), items)

    def encode_events(self, cache: TextCache, corpus: Corpus, events: NDArray[np.int64]) -> Tensor:
        """Encode `[…]` events, -1 for padding → `[…, dimension]`: the item's vector, or that of a search's query."""
        item = torch.from_numpy(np.where(events >= 0, corpus.event_item[events], -1))
        text = torch.from_numpy(corpus.event_text[events])
        return self._add_residual(cache.lookup(text), item) * torch.from_numpy(events >= 0).unsqueeze(-1)

    def zero_residuals(self, items: NDArray[np.bool_]) -> None:
        """Set residuals to zero, so that only the text stands for an item.

        Args:
            items: `[items]`, True for items without training events, whose residuals would stay random.
        """
        with torch.no_grad():
            self.residual.weight[torch.from_numpy(items)] = 0.0

    def _add_residual(self, pooled: Tensor, items: Tensor) -> Tensor:
        """Project pooled texts and add residuals: `[…, hidden]` and `[…]` items, -1 for none → `[…, dimension]`.

        The result has unit length. In training some residuals are dropped, so that the text encoder learns to stand
        alone: a cold item has nothing but its text.
        """
        kept = items >= 0
        if self.training and self.residual_dropout:
            kept &= torch.rand(items.shape) >= self.residual_dropout
        # The head's output has unit length as a whole. Scaled, each subspace has unit length, so a residual weighs the
        # same for any number of subspaces.
        text_vectors = self.text.head(pooled) * self.subspaces**0.5
        return normalise_subspaces(
            text_vectors + self.residual(items.clamp(min=0)) * kept.unsqueeze(-1), self.subspaces
        )

    def encode_profiles(self, cache: TextCache, corpus: Corpus, batch: Batch) -> Tensor:
        """Encode the profile of each pair of a batch at its target's time → `[pairs, dimension]`."""
        states = self.profile.states(
            self.encode_events(cache, corpus, batch.event),
            torch.from_numpy(batch.event_type),
            torch.from_numpy(batch.event_age),
            torch.from_numpy(batch.event_numbers),
            torch.from_numpy(batch.mask),
        )
        return self.profile.head(states[batch.pair_row, batch.pair_position], torch.from_numpy(batch.pair_gap))
