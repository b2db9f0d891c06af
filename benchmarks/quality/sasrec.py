"""SASRec with a softmax over all items, by RecTools: item ids only, no words."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytorch_lightning import Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from benchmarks.quality.protocol import Scorer, Task

EPOCHS_A_LOOK, MOST_EPOCHS = 3, 21
"""Validation is looked at after every so many epochs, and training ends at the first look that is no better."""
_PADDING = 0
"""Row of no item in the network; also stands for the items that training has no event of: it can't rank these."""
_SETTINGS: dict[str, Any] = {"n_blocks": 2, "n_heads": 2, "n_factors": 128, "session_max_len": 20, "dropout_rate": 0.5}


class SasRec:
    """A model while it trains.

    Args:
        task: what to learn.
    """

    def __init__(self, task: Task) -> None:
        seed_everything(0, verbose=False)
        self._task = task
        self._data = _dataset(task)
        self._model = SASRecModel(
            **_SETTINGS,
            loss="softmax",
            similarity_module_kwargs={"distance": "dot"},
            batch_size=256,
            get_trainer_func=_trainer,
        )

    def train(self, epochs: int) -> None:
        """Train some epochs more."""
        self._model.fit_partial(self._data, min_epochs=epochs, max_epochs=epochs)

    def keep(self) -> None:
        """Remember the weights."""
        self._kept = deepcopy(self._model.torch_model.state_dict())

    def restore(self) -> None:
        """Go back to the weights that were kept last."""
        self._model.torch_model.load_state_dict(self._kept)

    def score(self, targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """`[targets, items]`; see `Scorer`."""
        network = self._model.torch_model.eval()
        known = self._model.data_preparator.item_id_map.to_internal
        inner = known.reindex(np.arange(len(self._task.corpus.items)), fill_value=_PADDING).to_numpy()
        length = _SETTINGS["session_max_len"]
        sessions = np.full((len(targets), length), _PADDING, dtype=np.int64)
        for row, items in enumerate(self._task.histories(targets)):
            latest = inner[items][inner[items] != _PADDING][-length:]
            sessions[row, length - len(latest) :] = latest
        with torch.no_grad():
            items = network.item_model.get_all_embeddings()
            states = network.encode_sessions({"x": torch.from_numpy(sessions)}, items)[:, -1]
            scores: NDArray[np.float32] = (states @ items.T).numpy()[:, inner]
        scores[:, inner == _PADDING] = -np.inf
        return scores


def tuned(task: Task) -> tuple[dict[str, Any], Scorer]:
    """The number of epochs by validation, and the model they make."""
    model, best = SasRec(task), (-1.0, 0)
    for epochs, value in _looks(task, model):
        if value > best[0]:
            best = value, epochs
            model.keep()
    model.restore()
    return {"epochs": best[1], "validation NDCG@10": round(best[0], 4)}, model.score


def _looks(task: Task, model: SasRec) -> Iterator[tuple[int, float]]:
    last = -1.0
    for epochs in range(EPOCHS_A_LOOK, MOST_EPOCHS + 1, EPOCHS_A_LOOK):
        model.train(EPOCHS_A_LOOK)
        value = task.validate(model.score)
        yield epochs, value
        if value <= last:
            return
        last = value


def fitted(task: Task, settings: dict[str, Any]) -> Scorer:
    """The model of given settings."""
    model = SasRec(task)
    model.train(settings["epochs"])
    return model.score


def _trainer() -> Trainer:
    return Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip


def _dataset(task: Task) -> Dataset:
    corpus, events = task.corpus, task.learnt
    order = pd.Timestamp("2000-01-01") + pd.to_timedelta(events, unit="s")  # events stand in their order in time
    return Dataset.construct(
        pd.DataFrame(
            {
                Columns.User: corpus.event_shopper[events],
                Columns.Item: corpus.event_item[events],
                Columns.Weight: 1.0,
                Columns.Datetime: order,
            }
        )
    )
