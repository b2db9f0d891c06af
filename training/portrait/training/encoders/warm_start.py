"""Warm start: a model begins with the weights of an earlier one, drawn part of the way back to untrained ones.

Training that goes on from weights as they are keeps most of what they hold, also of what is no longer in the data, and
generalises worse than training from the start. Weights that are shrunk and mixed with fresh ones before the training
goes on keep what many examples have in common, and lose what hangs on few (shrink and perturb, Ash and Adams 2020, "On
Warm-Starting Neural Network Training").
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from portrait.training.dataset.corpus import Corpus
from portrait.training.devices import to_device
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.errors import TrainingError

_RESIDUALS = "residual.weight"
_BERT = "text.bert."


@dataclass(frozen=True)
class WarmStart:
    """Weights of an earlier model, and how a later one begins with them."""

    weights: Mapping[str, Tensor]
    """State of the earlier model, its adapters merged."""
    pooled: Tensor
    """`[texts of the earlier corpus, hidden]`: outputs of its BERT."""
    corpus: Corpus
    """Data set of the earlier model."""
    kept: float
    """Share of the way from untrained to earlier weights, at which the later model begins."""
    whole_steps: int
    """Optimiser steps of a training from the start."""
    whole_seconds: float | None
    """Processor time of such a training; None if it is not known."""
    share: float
    """Share of these steps that are taken from here; the BERT is left out of them."""

    @property
    def steps(self) -> int:
        """Optimiser steps that are taken."""
        return max(1, round(self.share * self.whole_steps))

    def require_common_items(self, corpus: Corpus) -> None:
        """Require that the earlier model knows some item of a corpus.

        Raises:
            TrainingError: it knows none.
        """
        if (self._find_items(corpus) < 0).all():
            raise TrainingError("the data set has no item that the run knows: it is not of the same shop")

    def blend_bert(self, model: PortraitModel, cache: TextCache, corpus: Corpus) -> None:
        """Blend the weights of the BERT; where they stay those of the base model, the cache gets its known outputs.

        Args:
            model: untrained, without adapters.
            cache: cache of the corpus' texts.
            corpus: the events to learn from.

        Raises:
            TrainingError: the earlier model has other weights than the untrained one.
        """
        self._require_same_weights(model)
        names = [name for name in model.state_dict() if name.startswith(_BERT)]
        if not self._blend(model, names):
            return
        rows = {text: row for row, text in enumerate(self.corpus.texts)}
        found = np.array([rows.get(text, -1) for text in corpus.texts], dtype=np.int64)
        known = np.flatnonzero(found >= 0)
        cache.put(known, to_device(self.pooled.numpy()[found[known]], model.device))

    def blend_others(self, model: PortraitModel, corpus: Corpus, is_learnt: NDArray[np.bool_]) -> None:
        """Blend all weights but those of the BERT.

        Args:
            model: untrained; its projection has been fitted.
            corpus: the events to learn from.
            is_learnt: `[items]`, True for items with training events. The residual of any other item, which may be
                known from those alone who have left, stays untrained.
        """
        names = [name for name in model.state_dict() if not name.startswith(_BERT) and name != _RESIDUALS]
        self._blend(model, names)
        earlier = self._find_items(corpus)
        rows = np.flatnonzero((earlier >= 0) & is_learnt)
        residuals, device = model.residual.weight, model.device
        before = self.weights[_RESIDUALS][torch.from_numpy(earlier[rows])].to(device)
        with torch.no_grad():
            places = to_device(rows, device)
            residuals[places] = torch.lerp(residuals[places], before, self.kept)

    def _require_same_weights(self, model: PortraitModel) -> None:
        for name, value in model.state_dict().items():
            before = self.weights.get(name)
            if before is None or (name != _RESIDUALS and before.shape != value.shape):
                raise TrainingError(
                    f"the model of the run before has other weights {name!r} than its settings say; train a new run"
                )

    def _blend(self, model: PortraitModel, names: list[str]) -> bool:
        """Blend some weights; returns whether all of them were equal."""
        state, are_equal = model.state_dict(), True
        with torch.no_grad():
            for name in names:
                own, before = state[name], self.weights[name].to(state[name].device)
                if not torch.equal(own, before):
                    are_equal = False
                    own.copy_(torch.lerp(own, before, self.kept))
        return are_equal

    def _find_items(self, corpus: Corpus) -> NDArray[np.int64]:
        """`[items]`: row of each item in the earlier corpus, -1 if that has none of this id."""
        rows = {item_id: row for row, item_id in enumerate(self.corpus.item_ids)}
        return np.array([rows.get(item_id, -1) for item_id in corpus.item_ids], dtype=np.int64)
