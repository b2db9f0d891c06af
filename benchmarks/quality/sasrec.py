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
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from torch.nn import functional

from benchmarks.common.ranking.protocol import RankingTask
from portrait.training.baselines.protocol import Scorer

NAME = "SASRec, softmax"
EPOCHS_PER_VALIDATION, MAX_EPOCHS, PATIENCE = 3, 24, 2
"""Epochs between validations, maximum epochs, and validations without improvement after which training ends."""
GRID: tuple[dict[str, Any], ...] = (
    {"similarity": "cosine", "temperature": 0.05, "dropout": 0.4},
    {"similarity": "dot", "temperature": 1.0, "dropout": 0.5},
)
_PADDING = 0
"""Row of the padding in the network, also of items without training events, which it can't rank."""
_MAX_SESSION = 20
_SHAPE: dict[str, Any] = {"n_blocks": 2, "n_heads": 2, "n_factors": 128, "session_max_len": _MAX_SESSION}


class _UnpaddedLossModule(TransformerLightningModule):
    """RecTools' training with the same loss, which drops padding before the softmax instead of after it.

    Seven tenths of the places of Beauty's sessions are padding.
    """

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        wanted = batch["y"] != _PADDING
        items = self.torch_model.item_model.get_all_embeddings()
        states = self.torch_model.encode_sessions(batch, items)[wanted]
        logits = self.torch_model.similarity_module(states, items) / self.logits_t
        return functional.cross_entropy(logits, batch["y"][wanted])


class SasRec:
    """A SASRec model in training.

    Args:
        task: what to learn.
        settings: one of `GRID`.
    """

    def __init__(self, task: RankingTask, settings: dict[str, Any]) -> None:
        seed_everything(0, verbose=False)
        self._task = task
        self._data = _make_dataset(task)
        self._model = SASRecModel(
            **_SHAPE,
            dropout_rate=settings["dropout"],
            loss="softmax",
            similarity_module_kwargs={"distance": settings["similarity"]},
            lightning_module_type=_UnpaddedLossModule,
            lightning_module_kwargs={"logits_t": settings["temperature"]},
            batch_size=128,
            get_trainer_func=_make_trainer,
        )

    def train(self, epochs: int) -> None:
        """Train for more epochs."""
        self._model.fit_partial(self._data, min_epochs=epochs, max_epochs=epochs)

    def keep(self) -> None:
        """Keep a copy of the weights."""
        self._kept = deepcopy(self._model.torch_model.state_dict())

    def restore(self) -> None:
        """Restore the weights that were kept last."""
        self._model.torch_model.load_state_dict(self._kept)

    def score(self, targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """Score `[targets, items]`; see `Scorer`."""
        network = self._model.torch_model.eval()
        known = self._model.data_preparator.item_id_map.to_internal
        inner = known.reindex(np.arange(len(self._task.corpus.items)), fill_value=_PADDING).to_numpy()
        sessions = np.full((len(targets), _MAX_SESSION), _PADDING, dtype=np.int64)
        for row, items in enumerate(self._task.histories(targets)):
            latest = inner[items][inner[items] != _PADDING][-_MAX_SESSION:]
            sessions[row, _MAX_SESSION - len(latest) :] = latest
        with torch.no_grad():
            items = network.item_model.get_all_embeddings()
            states = network.encode_sessions({"x": torch.from_numpy(sessions)}, items)[:, -1]
            scores: NDArray[np.float32] = network.similarity_module(states, items).numpy()[:, inner]
        scores[:, inner == _PADDING] = -np.inf
        return scores


def tune(task: RankingTask) -> tuple[dict[str, Any], list[dict[str, Any]], Scorer]:
    """Tune settings and epochs by validation; return the best, all that were tried, and the scorer of the best."""
    tried: list[dict[str, Any]] = []
    best: tuple[float, dict[str, Any], SasRec] | None = None
    for settings in GRID:
        model = SasRec(task, settings)
        for epochs, value in _validate_epochs(task, model):
            tried.append(settings | {"epochs": epochs, "validation NDCG@10": round(value, 4)})
            if best is None or value > best[0]:
                best = value, tried[-1], model
                model.keep()
    assert best is not None
    best[2].restore()
    return best[1], tried, best[2].score


def _validate_epochs(task: RankingTask, model: SasRec) -> Iterator[tuple[int, float]]:
    best, worse = -1.0, 0
    for epochs in range(EPOCHS_PER_VALIDATION, MAX_EPOCHS + 1, EPOCHS_PER_VALIDATION):
        model.train(EPOCHS_PER_VALIDATION)
        value = task.validate(model.score)
        print(f"  SASRec after {epochs} epochs: validation NDCG@10 {value:.4f}", flush=True)
        yield epochs, value
        best, worse = (value, 0) if value > best else (best, worse + 1)
        if worse == PATIENCE:
            return


def fit(task: RankingTask, settings: dict[str, Any]) -> Scorer:
    """Fit the model with given settings."""
    model = SasRec(task, settings)
    model.train(settings["epochs"])
    return model.score


def _make_trainer() -> Trainer:
    return Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip


def _make_dataset(task: RankingTask) -> Dataset:
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
