"""Encoders that start with the weights of an earlier run, and are trained for a part of its steps."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.encoders.trainer import Trainer
from portrait.training.encoders.warm_start import WarmStart
from portrait.training.enums import FineTuning
from portrait.training.run.folder import RunFolder
from portrait.training.run.untrained_model import UntrainedModel

_RATE_FACTOR = 3.0
"""Factor of the learning rate: few steps, in which the residuals of items are learnt from nothing."""
_WARM_UP_SHARE = 0.1
"""Share of the steps in which the learning rate rises."""

WARM_RANKER_EPOCHS, WARM_RANKER_RATE_FACTOR = 8, 2.0
"""Epochs of the ranker of such a run, and factor of its learning rate. It starts untrained, since it is small."""


def continue_encoders(
    run: RunFolder, warm_start: WarmStart, untrained: UntrainedModel, corpus: Corpus, holdout: Holdout,
    targets: NDArray[np.int64], before_step: Callable[[], None],
) -> dict[str, int]:  # fmt: skip
    """Train the encoders of a run from its warm start.

    All steps are taken, without validation: it would favour an early epoch, which has forgotten less.

    Returns:
        The number of `epochs` after which the model was as it is returned, and of the `steps` of a whole training.
    """
    model, cache, _ = untrained
    warm_start.blend_bert(model, cache, corpus.texts)
    rate = _RATE_FACTOR * run.settings.learning_rate
    settings = dataclasses.replace(
        run.settings, finetune=FineTuning.FROZEN, max_steps=warm_start.steps, learning_rate=rate
    )
    trainer = Trainer(
        corpus, holdout, targets, model, cache, settings, run.path, epochs=settings.max_epochs,
        warm_up=max(1, round(_WARM_UP_SHARE * warm_start.steps)),
    )  # fmt: skip
    epochs = trainer.train(False, before_step, lambda: warm_start.blend_others(model))
    return {"epochs": epochs, "steps": warm_start.whole_steps}
