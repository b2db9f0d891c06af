"""Adaptation of the base model to a shop's texts, before it is trained together with the other encoders.

Texts that belong together (`text_pairs`) get near, and all others far: InfoNCE (van den Oord et al. 2018) in both
directions. A pair competes with all other texts of its step, but for those that form a pair with the anchor too. So a
step has many texts, whose activations do not fit into memory at once: they are encoded in chunks (`gradient_cache`).
Vectors of earlier steps do not compete: to get away from all of them by a common shift is a
shorter way to a low loss than to learn anything.

Afterwards validation chooses how far the weights move from the base model's to the trained ones (WiSE-FT, Wortsman et
al. 2022), which keeps what the base model knows beyond the shop. Where the trained weights do not rank validation
targets better, they are dropped.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter, functional

from portrait.training import checkpoints, distributed
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.devices import to_device
from portrait.training.encoders.gradient_cache import backpropagate_in_chunks
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.peft import apply_finetuning
from portrait.training.encoders.progress import show_progress
from portrait.training.encoders.text_pairs import TextPairs, build_text_pairs
from portrait.training.encoders.text_ranking import TextRanking
from portrait.training.enums import FineTuning
from portrait.training.errors import TrainingError
from portrait.training.settings import TrainSettings

ADAPTATION_FILE = "adaptation.pt"

CANDIDATE_WEIGHTS = (0.5, 1.0)
"""Shares of the way from the base model's weights to the trained ones; validation chooses one of them, or 0."""

_RATE_FACTOR = 2.0
"""The learning rate is that of the BERT in the joint training times this: nothing random is trained beside it."""
_SCALE = 20.0
"""Softmax scale, one over the temperature."""
_WARM_UP_SHARE = 0.1
_MAX_GRADIENT_NORM = 1.0
_CHUNK_TEXTS = 64
"""Texts whose activations are in memory at once, unless `gradient_checkpointing_texts` says another number."""
_CHECKPOINT_STEPS = 10


def adapt_base_model(
    model: PortraitModel, cache: TextCache, corpus: Corpus, holdout: Holdout, targets: NDArray[np.int64],
    settings: TrainSettings, run: Path, resume: bool, weight: float | None = None,
) -> float:  # fmt: skip
    """Adapt the base model of a run, if any of its weights are to be trained.

    Args:
        model: the model, of which only weights of the BERT change.
        cache: the texts of the corpus; it gets outputs of the base model, as far as validation needed them, if that
            is left as it was.
        corpus: events and catalogue.
        holdout: split of the events.
        targets: events to learn from, ascending.
        settings: settings of the run.
        run: the run's folder, for checkpoints.
        resume: continue from the run's last checkpoint, if there is one.
        weight: share of the way from the base model's weights to the trained ones; None lets validation choose.

    Returns:
        The share that was gone; 0 leaves the base model as it was.
    """
    parameters = [each for each in model.text.bert.parameters() if each.requires_grad]
    if not parameters or not settings.adaptation_steps:
        return 0.0
    path = run / ADAPTATION_FILE
    state = checkpoints.load_state(path) if resume and path.exists() else None
    if state and state["weight"] is not None:
        _load_parameters(parameters, state["parameters"])
        return float(state["weight"])
    pairs = distributed.compute_once(lambda: build_text_pairs(corpus, targets))
    if not len(pairs):
        return 0.0
    ranking = TextRanking(corpus, holdout, settings.seed)
    adapter = DomainAdapter(pairs, ranking, cache, parameters, settings, path)
    return adapter.adapt(state, weight)


def read_chosen_weight(run: Path) -> float:
    """Return the share of the way that validation chose for a run that has been adapted; 0 if it was not."""
    path = run / ADAPTATION_FILE
    return float(checkpoints.load_state(path)["weight"]) if path.exists() else 0.0


def settle_finetuning(model: PortraitModel, settings: TrainSettings, weight: float) -> TrainSettings:
    """Return the settings of the joint training; with `auto`, the BERT is frozen after an adaptation of no use.

    Args:
        model: the model.
        settings: settings of the run.
        weight: as `adapt_base_model` returned it.
    """
    if settings.finetune is not FineTuning.AUTO:
        return settings
    chosen = FineTuning.FULL if weight else FineTuning.FROZEN
    apply_finetuning(model.text.bert, chosen)
    return dataclasses.replace(settings, finetune=chosen)


class DomainAdapter:
    """Adapts the base model of one run.

    Args:
        pairs: texts that belong together.
        ranking: validation.
        cache: cache of the corpus' texts, which are the first of the pairs'.
        parameters: weights of the BERT that are trained.
        settings: settings of the run.
        path: file for checkpoints.
    """

    def __init__(
        self, pairs: TextPairs, ranking: TextRanking, cache: TextCache, parameters: list[Parameter],
        settings: TrainSettings, path: Path,
    ) -> None:  # fmt: skip
        self._pairs, self._ranking, self._parameters = pairs, ranking, parameters
        self._corpus_cache, self._cache = cache, cache.share_encoder(pairs.texts)
        self._settings, self._path = settings, path
        self._base = [each.detach().clone() for each in self._parameters]
        self._step = 0

    def adapt(self, state: dict[str, Any] | None, weight: float | None) -> float:
        """Train, and go the chosen share of the way to the trained weights; see `adapt_base_model`.

        Args:
            state: checkpoint to continue from, if there is one.
            weight: share of the way; None lets validation choose.
        """
        distributed.copy_from_main(self._parameters)
        self._train(state)
        trained = [each.detach().clone() for each in self._parameters]
        chosen = self._choose_weight(trained) if weight is None else weight
        interpolate(self._parameters, self._base, trained, chosen)
        _save_parameters(self._path, self._parameters, {"weight": chosen})
        return chosen

    def _train(self, state: dict[str, Any] | None) -> None:
        """Take all steps, or those that a checkpoint has not taken yet."""
        steps = self._settings.adaptation_steps
        rate = _RATE_FACTOR * self._settings.bert_learning_rate
        optimizer = torch.optim.AdamW(self._parameters, lr=rate, weight_decay=self._settings.weight_decay)
        if state:
            self._restore(state, optimizer)
        with show_progress("adapting the base model", steps, self._step) as report_progress:
            while self._step < steps:
                for group in optimizer.param_groups:
                    group["lr"] = rate * _rate_factor(self._step, steps)
                self._train_step(optimizer)
                self._step += 1
                report_progress(self._step)
                if self._step % _CHECKPOINT_STEPS == 0:
                    self._save(optimizer)

    def _train_step(self, optimizer: torch.optim.Optimizer) -> None:
        random = np.random.default_rng((self._settings.seed, self._step))
        drawn = self._pairs.draw(self._settings.adaptation_pairs, random)
        anchor, positive = self._pairs.anchor[drawn], self._pairs.positive[drawn]
        rows = self._cache.sort_by_length(np.unique(np.concatenate([anchor, positive])))
        place = np.zeros(len(self._pairs.texts), dtype=np.int64)
        place[rows] = np.arange(len(rows))

        def compute_loss(pooled: Tensor) -> Tensor:
            vectors = functional.normalize(pooled, dim=-1)
            return (
                self._compute_loss(vectors, place, anchor, positive)
                + self._compute_loss(vectors, place, positive, anchor)
            ) / 2

        optimizer.zero_grad()
        chunk = self._settings.gradient_checkpointing_texts or _CHUNK_TEXTS
        loss = backpropagate_in_chunks(self._cache.encode_texts, rows, compute_loss, chunk)
        distributed.add_up_gradients(self._parameters)
        self._require_finite(loss, torch.nn.utils.clip_grad_norm_(self._parameters, _MAX_GRADIENT_NORM))
        optimizer.step()

    def _compute_loss(
        self, vectors: Tensor, place: NDArray[np.int64], anchor: NDArray[np.int64], positive: NDArray[np.int64]
    ) -> Tensor:
        """Compute the mean cross-entropy of the positives among all of the step.

        Args:
            vectors: `[texts of the step, hidden]`, unit length.
            place: `[texts]`: row of each text in `vectors`.
            anchor: `[pairs]`: texts that search.
            positive: `[pairs]`: texts that must be found.
        """
        columns, label = np.unique(positive, return_inverse=True)
        related = self._pairs.related[anchor][:, columns].toarray()
        related[np.arange(len(anchor)), label] = False
        device = vectors.device
        found = vectors[to_device(place[anchor], device)] @ vectors[to_device(place[columns], device)].T
        logits = (_SCALE * found).masked_fill(to_device(related, device), -torch.inf)
        return functional.cross_entropy(logits, to_device(label, device))

    def _choose_weight(self, trained: Sequence[Tensor]) -> float:
        """Choose by validation: the base model, unless others are better by more than a standard error."""
        base = self._rank_validation(trained, 0.0)
        by_base = self._cache.pooled[to_device(self._ranking.texts, self._cache.device)]
        gains = {weight: self._rank_validation(trained, weight) - base for weight in CANDIDATE_WEIGHTS}
        best = max(gains, key=lambda weight: float(gains[weight].mean()))
        gain = gains[best]
        if gain.mean() > gain.std() / len(gain) ** 0.5:
            return best
        self._corpus_cache.put(self._ranking.texts, by_base)
        return 0.0

    def _rank_validation(self, trained: Sequence[Tensor], weight: float) -> NDArray[np.float64]:
        interpolate(self._parameters, self._base, trained, weight)
        self._cache.recompute(self._ranking.texts)
        return self._ranking.measure(self._cache.pooled.cpu().numpy())

    def _require_finite(self, loss: Tensor, norm: Tensor) -> None:
        """Stop an adaptation that diverges.

        Raises:
            TrainingError: loss or gradient are infinite or not a number.
        """
        for name, value in (("loss", loss), ("gradient", norm)):
            if not torch.isfinite(value):
                raise TrainingError(
                    f"the {name} is {float(value)} at step {self._step + 1}, in the adaptation of the base model "
                    f"{self._settings.base_model!r}, so training stops; most likely its values are too large, or "
                    f"bert_learning_rate ({self._settings.bert_learning_rate:g}) is"
                )

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        state = {
            "weight": None,
            "step": self._step,
            "optimizer": optimizer.state_dict(),
        }
        _save_parameters(self._path, self._parameters, state)

    def _restore(self, state: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
        _load_parameters(self._parameters, state["parameters"])
        optimizer.load_state_dict(state["optimizer"])
        self._step = state["step"]


def _save_parameters(path: Path, parameters: Sequence[Parameter], state: dict[str, Any]) -> None:
    checkpoints.save_state(state | {"parameters": [each.detach() for each in parameters]}, path)


def _load_parameters(parameters: Sequence[Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


def interpolate(parameters: Sequence[Tensor], base: Sequence[Tensor], trained: Sequence[Tensor], weight: float) -> None:
    """Set parameters to (1 - weight) times the base model's values plus weight times the trained ones."""
    with torch.no_grad():
        for parameter, start, end in zip(parameters, base, trained, strict=True):
            parameter.copy_(torch.lerp(start, end, weight))


def _rate_factor(step: int, steps: int) -> float:
    """Return the factor of the learning rate at a step: linear warm-up, then linear decay to zero."""
    return min(1.0, (step + 1) / (_WARM_UP_SHARE * steps)) * (1.0 - step / steps)
