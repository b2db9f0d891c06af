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

_WARM_UP_SHARE = 0.1
"""Share of the steps in which the learning rate rises: the moments of the optimiser are new, most weights are not."""

WARM_RANKER_EPOCHS = 5
"""Epochs of the ranker of such a run. It starts untrained, since it is small."""


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
    warm_start.blend_bert(model, cache, corpus)
    settings = dataclasses.replace(run.settings, finetune=FineTuning.FROZEN, max_steps=warm_start.steps)
    trainer = Trainer(
        corpus, holdout, targets, model, cache, settings, run.path, epochs=settings.max_epochs,
        warm_up=max(1, round(_WARM_UP_SHARE * warm_start.steps)),
    )  # fmt: skip
    epochs = trainer.train(False, before_step, lambda: warm_start.blend_others(model, corpus, holdout.item_counts > 0))
    return {"epochs": epochs, "steps": warm_start.whole_steps}
