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
from torch.utils.checkpoint import checkpoint

from portrait.features.text.tokenizer import TextTokenizer
from portrait.training import distributed
from portrait.training.dataset.corpus import Corpus
from portrait.training.devices import autocast_bert, to_device
from portrait.training.encoders.peft import apply_finetuning
from portrait.training.encoders.samples import Batch, Windows
from portrait.training.encoders.subspaces import SubspaceProfileEncoder, normalise_subspaces
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.enums import TrainingPrecision
from portrait.training.settings import TrainSettings


class TextCache:
    """Pooled BERT outputs of all texts; a training step recomputes only a few of them, with gradients.

    So the BERT encodes a text a few times in a whole run instead of once for each event. The price is that the other
    cached outputs come from weights that are some steps old, until `recompute`.

    Args:
        encoder: the text encoder; the cache is on its device.
        tokenizer: its tokenizer.
        texts: the texts, by row.
        precision: number format of the BERT's matrix products.
        checkpointed_texts: texts of a `refresh` whose activations are kept at once; 0 for all.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        tokenizer: TextTokenizer,
        texts: Sequence[str],
        precision: TrainingPrecision = TrainingPrecision.AUTO,
        checkpointed_texts: int = 0,
    ) -> None:
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._tokens = tokenizer.encode(texts)
        self._precision, self._checkpointed_texts = precision, checkpointed_texts
        self.pooled = torch.zeros(len(texts), encoder.project.in_features, device=self.device)
        self._is_missing = np.ones(len(texts), dtype=bool)
        self._fresh_index = torch.full((len(texts),), -1, device=self.device)
        self._fresh: Tensor | None = None

    def share_encoder(self, texts: Sequence[str]) -> "TextCache":
        """Make an empty cache of other texts for the same encoder, without gradient checkpointing."""
        return TextCache(self._encoder, self._tokenizer, texts, self._precision)

    def sort_by_length(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sort texts by their number of tokens, so that neighbours share a batch without much padding."""
        return rows[np.argsort([len(self._tokens[row]) for row in rows], kind="stable")]

    @property
    def device(self) -> torch.device:
        """The device of the text encoder."""
        return self._encoder.project.weight.device

    def follow_encoder(self) -> None:
        """Move to the device to which the encoder has moved."""
        self.pooled, self._fresh_index = self.pooled.to(self.device), self._fresh_index.to(self.device)

    def encode_texts(self, rows: NDArray[np.int64]) -> Tensor:
        """Encode some texts: `[rows]` → `[rows, hidden]`, with gradients if they are enabled; the cache is not used."""
        batch = self._tokenizer.pad([self._tokens[row] for row in rows])
        with autocast_bert(self.device, self._precision):
            pooled = self._pool(to_device(batch.input_ids, self.device), to_device(batch.attention_mask, self.device))
        return pooled.float()

    def _pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        size = self._checkpointed_texts
        if not size or not torch.is_grad_enabled():
            return self._encoder.pool(input_ids, attention_mask)
        # The BERT has no dropout in training, so no random numbers have to be drawn again.
        parts = [
            checkpoint(self._encoder.pool, ids, mask, use_reentrant=False, preserve_rng_state=False)
            for ids, mask in zip(input_ids.split(size), attention_mask.split(size), strict=True)
        ]
        return torch.cat(parts)

    def _encode_shared(self, rows: NDArray[np.int64]) -> Tensor:
        """Encode some texts, each in one of the processes that train together."""
        share = distributed.take_share(rows)
        # A process without a share encodes a text all the same: all must have gradients of the same parameters.
        encoded = self.encode_texts(share if len(share) else rows[:1])[: len(share)]
        return distributed.gather_rows(encoded, len(rows))

    @torch.no_grad()
    def recompute(self, rows: NDArray[np.int64] | None = None, batch: int = 64) -> None:
        """Recompute the cached outputs of all texts, or of `rows`; texts of similar length share a batch.

        Processes that train together call it together, and share the work.
        """
        batch *= distributed.count_processes()
        chosen = np.arange(len(self._tokens)) if rows is None else rows
        order = self.sort_by_length(chosen)
        for begin in range(0, len(order), batch):
            part = order[begin : begin + batch]
            self.pooled[to_device(part, self.device)] = self._encode_shared(part)
        self._is_missing[chosen] = False

    def put(self, rows: NDArray[np.int64], pooled: Tensor) -> None:
        """Cache outputs of some texts, `[rows, hidden]`, that the encoder has given with its present weights."""
        self.pooled[to_device(rows, self.device)] = pooled
        self._is_missing[rows] = False

    def encode_missing(self) -> None:
        """Encode the texts that have no cached output yet."""
        self.recompute(np.flatnonzero(self._is_missing))

    def refresh(self, rows: NDArray[np.int64]) -> None:
        """Encode some texts with gradients, which `lookup` passes on until the next call; the values are cached.

        Processes that train together call it together, and share the work.
        """
        self._fresh = self._encode_shared(rows)
        index = to_device(rows, self.device)
        self._fresh_index.fill_(-1)
        self._fresh_index[index] = torch.arange(len(rows), device=self.device)
        self.pooled[index] = self._fresh.detach()

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
        # A step touches few items of a large catalogue.
        self.residual = nn.Embedding(items, settings.dimension, sparse=items > settings.max_full_softmax_items)
        nn.init.normal_(self.residual.weight, std=0.02)
        self.residual_dropout = settings.residual_dropout
        self.scale = nn.Parameter(torch.tensor(settings.scale))

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.scale.device

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off, except in the BERT: the cache must hold outputs as an export computes them."""
        super().train(mode)
        self.text.eval()
        return self

    def encode_items(self, cache: TextCache, corpus: Corpus, items: NDArray[np.int64]) -> Tensor:
        """Encode items: `[items]` rows → `[items, dimension]`, unit length: the text's vector plus the residual."""
        return self._encode_texts_and_residuals(cache, corpus.item_text[items], items)

    def encode_slots(self, cache: TextCache, corpus: Corpus, windows: Windows) -> Tensor:
        """Encode the slots of windows: `[windows, length, dimension]`, zeros for padding.

        A slot's vector is the mean over its events, which have the item's vector or that of a search's query.
        """
        item, text = corpus.event_item[windows.event], corpus.event_text[windows.event]
        vectors = self._encode_texts_and_residuals(cache, text, item)
        slots = windows.mask.size
        counts = np.bincount(windows.place, minlength=slots).clip(min=1).astype(np.float32)
        summed = vectors.new_zeros(slots, vectors.shape[-1]).index_add(0, self._copy(windows.place), vectors)
        return (summed / self._copy(counts).unsqueeze(-1)).view(*windows.mask.shape, vectors.shape[-1])

    def encode_states(self, cache: TextCache, corpus: Corpus, windows: Windows) -> Tensor:
        """Encode each slot together with those before it: `[windows, length, dimension]`."""
        return self.profile.states(
            self.encode_slots(cache, corpus, windows),
            self._copy(windows.event_type),
            self._copy(windows.event_age),
            self._copy(windows.event_numbers),
            self._copy(windows.mask),
        )

    def _copy(self, array: NDArray[np.generic]) -> Tensor:
        return to_device(array, self.device)

    def zero_residuals(self, items: NDArray[np.bool_]) -> None:
        """Set residuals to zero, so that only the text stands for an item.

        Args:
            items: `[items]`, True for items without training events, whose residuals would stay random.
        """
        with torch.no_grad():
            self.residual.weight[self._copy(items)] = 0.0

    def _encode_texts_and_residuals(
        self, cache: TextCache, texts: NDArray[np.int64], items: NDArray[np.int64]
    ) -> Tensor:
        """Add residuals to the vectors of texts: `[rows]` texts and `[rows]` items, -1 for none → `[rows, dimension]`.

        The result has unit length. In training some residuals are dropped, so that the text encoder learns to stand
        alone: a cold item has nothing but its text.
        """
        # The head's output has unit length as a whole. Scaled, each subspace has unit length, so a residual weighs the
        # same for any number of subspaces.
        distinct, place = np.unique(texts, return_inverse=True)
        text_vectors = self.text.head(cache.lookup(self._copy(distinct))) * self.subspaces**0.5
        rows = self._copy(items)
        kept = rows >= 0
        if self.training and self.residual_dropout:
            kept &= torch.rand(rows.shape, device=rows.device) >= self.residual_dropout
        residuals = self.residual(rows.clamp(min=0)) * kept.unsqueeze(-1)
        return normalise_subspaces(text_vectors[self._copy(place)] + residuals, self.subspaces)

    def encode_profiles(self, cache: TextCache, corpus: Corpus, batch: Batch) -> Tensor:
        """Encode the profile of each pair of a batch at its target's time → `[pairs, dimension]`."""
        states = self.encode_states(cache, corpus, batch.windows)
        last = states[self._copy(batch.pair_row), self._copy(batch.pair_position)]
        return self.profile.head(last, self._copy(batch.pair_gap))
