"""Warm start: a model begins with weights of an earlier one, drawn part of the way back to untrained ones.

Training that goes on from weights as they are keeps most of what they hold, also of what is no longer in the data, and
generalises worse than training from the start. Weights that are shrunk and mixed with fresh ones before the training
goes on keep what many examples have in common, and lose what hangs on few (shrink and perturb, Ash and Adams 2020, "On
Warm-Starting Neural Network Training"). Residuals of items hang on the few events of each item: they start untrained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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
    """`[texts, hidden]`: outputs of its BERT."""
    texts: Sequence[str]
    """Texts of these outputs."""
    kept: float
    """Share of the way from untrained to earlier weights, at which all but the residuals begin."""
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

    def blend_bert(self, model: PortraitModel, cache: TextCache, texts: Sequence[str]) -> None:
        """Blend the weights of the BERT; where they stay those of the base model, the cache gets its known outputs.

        Args:
            model: untrained, without adapters.
            cache: cache of some texts.
            texts: these texts.

        Raises:
            TrainingError: the earlier model has other weights than the untrained one.
        """
        self._require_same_weights(model)
        names = [name for name in model.state_dict() if name.startswith(_BERT)]
        if not self._blend(model, names):
            return
        rows = {text: row for row, text in enumerate(self.texts)}
        found = np.array([rows.get(text, -1) for text in texts], dtype=np.int64)
        known = np.flatnonzero(found >= 0)
        cache.put(known, to_device(self.pooled.numpy()[found[known]], model.device))

    def blend_others(self, model: PortraitModel) -> None:
        """Blend all weights but those of the BERT and the residuals of items.

        Args:
            model: untrained; its projection has been fitted.
        """
        self._blend(model, [name for name in model.state_dict() if not name.startswith(_BERT) and name != _RESIDUALS])

    def _require_same_weights(self, model: PortraitModel) -> None:
        for name, value in model.state_dict().items():
            before = self.weights.get(name)
            if name != _RESIDUALS and (before is None or before.shape != value.shape):
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
