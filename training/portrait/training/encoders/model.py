"""The model while it trains: text encoder, item vectors and profile encoder, over a cache of text vectors."""

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
    """Tell whether the hardware has units of its own for matrix products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class TextCache:
    """Pooled BERT outputs of all texts, of which a few are computed anew, with gradients, at each step.

    BERT reads a text a few times in a whole run instead of once for each event, and the vectors of all the other
    texts are at most some steps old.
    """

    def __init__(self, encoder: TextEncoder, tokenizer: TextTokenizer, texts: Sequence[str]) -> None:
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._tokens = tokenizer.encode(texts)
        self.pooled = torch.zeros(len(texts), encoder.project.in_features)
        self._fresh_index = torch.full((len(texts),), -1)
        self._fresh: Tensor | None = None

    def encode_texts(self, rows: NDArray[np.int64]) -> Tensor:
        """BERT's pooled output of some texts, `[rows, hidden]`, with gradients if they are on."""
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
        """Compute texts anew, all of them or `rows`; like lengths go together."""
        chosen = np.arange(len(self._tokens)) if rows is None else rows
        order = chosen[np.argsort([len(self._tokens[row]) for row in chosen], kind="stable")]
        for begin in range(0, len(order), batch):
            part = order[begin : begin + batch]
            self.pooled[part] = self.encode_texts(part).cpu()

    def refresh(self, rows: NDArray[np.int64]) -> None:
        """Read some texts with gradients, until the next call; the cache keeps their values."""
        self._fresh = self.encode_texts(rows)
        self._fresh_index.fill_(-1)
        self._fresh_index[rows] = torch.arange(len(rows))
        self.pooled[rows] = self._fresh.detach()

    def detach(self) -> None:
        """Forget the gradients of the texts refreshed last; their values stay."""
        self._fresh = None

    def lookup(self, rows: Tensor) -> Tensor:
        """`[…]` rows of texts → `[…, hidden]`; gradients flow to those refreshed last."""
        stored = self.pooled[rows]
        if self._fresh is None:
            return stored
        place = self._fresh_index[rows]
        return torch.where((place >= 0).unsqueeze(-1), self._fresh[place.clamp(min=0)], stored)


class PortraitModel(nn.Module):
    """Text encoder, profile encoder and what each item's behaviour adds to its words."""

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
        """Switch dropout on or off; never the BERT's: the cache is to hold what would be exported."""
        super().train(mode)
        self.text.eval()
        return self

    def encode_items(self, cache: TextCache, corpus: Corpus, items: Tensor) -> Tensor:
        """`[items]` rows → `[items, dimension]`, unit length: the text's vector plus the item's residual."""
        return self._add_residual(cache.lookup(torch.from_numpy(corpus.item_text)[items]), items)

    def encode_events(self, cache: TextCache, corpus: Corpus, events: NDArray[np.int64]) -> Tensor:
        """`[…]` events, -1 for padding → `[…, dimension]`: the item's vector, or the query's for a search."""
        item = torch.from_numpy(np.where(events >= 0, corpus.event_item[events], -1))
        text = torch.from_numpy(corpus.event_text[events])
        return self._add_residual(cache.lookup(text), item) * torch.from_numpy(events >= 0).unsqueeze(-1)

    def zero_residuals(self, items: NDArray[np.bool_]) -> None:
        """Leave nothing but the words of some items, `[items]`: those that training has no event of."""
        with torch.no_grad():
            self.residual.weight[torch.from_numpy(items)] = 0.0

    def _add_residual(self, pooled: Tensor, items: Tensor) -> Tensor:
        """`[…, hidden]` pooled texts and `[…]` items, -1 for none → `[…, dimension]`, unit length.

        In training some residuals are dropped, so that words alone are worth as much as they can be: they are
        all that a new item has.
        """
        kept = items >= 0
        if self.training and self.residual_dropout:
            kept &= torch.rand(items.shape) >= self.residual_dropout
        words = self.text.head(pooled) * self.subspaces**0.5
        return normalise_subspaces(words + self.residual(items.clamp(min=0)) * kept.unsqueeze(-1), self.subspaces)

    def encode_profiles(self, cache: TextCache, corpus: Corpus, batch: Batch) -> Tensor:
        """The profile of each pair of a batch at its target's time, `[pairs, dimension]`."""
        states = self.profile.states(
            self.encode_events(cache, corpus, batch.event),
            torch.from_numpy(batch.event_type),
            torch.from_numpy(batch.event_age),
            torch.from_numpy(batch.event_numbers),
            torch.from_numpy(batch.mask),
        )
        return self.profile.head(states[batch.pair_row, batch.pair_position], torch.from_numpy(batch.pair_gap))
