"""The training loop of the encoders: epochs, steps, validation, checkpoints."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from portrait.training import checkpoints, distributed, metrics, tracking
from portrait.training.dataset import position_bias
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.devices import CPU, autocast_step, to_device
from portrait.training.encoders import retrieval
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.negatives import NegativeSampler
from portrait.training.encoders.optimizer import EncoderOptimizer
from portrait.training.encoders.progress import show_progress
from portrait.training.encoders.rank_budget import RankBudget
from portrait.training.encoders.samples import Batch, Batcher, build_training_samples
from portrait.training.encoders.subspaces import split_subspaces
from portrait.training.enums import FineTuning
from portrait.training.errors import TrainingError
from portrait.training.settings import TrainSettings
from portrait.training.tracking import Tracker

CHECKPOINT_FILE = "checkpoint.pt"
BEST_FILE = "best.pt"

_WARM_UP_STEPS = 50
_MIN_RATE_FACTOR = 0.05
"""Linear decay of the learning rate ends at this share of it."""
_MAX_GRADIENT_NORM = 5.0
_MAX_VALIDATION_SHOPPERS = 5_000
_CHECKPOINT_STEPS = 200
"""A checkpoint is written every so many steps, and at the end of each epoch."""

EpochCallback = Callable[[int, float], None]
"""Gets the number of an epoch, from 0, and its validation NDCG@10."""


@dataclass
class TrainerState:
    """Progress of a training run; a checkpoint holds it."""

    epoch: int = 0
    batch: int = 0
    """Batches of the current epoch that are done."""
    step: int = 0
    """Optimiser steps that are done, over all epochs."""
    best: float = -1.0
    """Best validation NDCG@10 so far."""
    stale_epochs: int = 0
    """Epochs since the best one."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One entry per validated epoch: its number, step, validation NDCG@10 and mean loss."""


class Trainer:
    """Trains the encoders of one run.

    Args:
        corpus: the events.
        holdout: split of the events into training, validation and test.
        targets: events to learn from, ascending.
        model: the model to train; `train` changes its weights.
        cache: outputs of the text encoder for the texts of the corpus.
        settings: settings of the run.
        run: the run's folder, for checkpoints and scalars.
        epochs: number of epochs, without validation; None to stop early by validation.
        on_epoch: called with the number and the validation NDCG@10 of each epoch; its errors end training.
        warm_up: steps in which the learning rate rises.
    """

    def __init__(
        self,
        corpus: Corpus,
        holdout: Holdout,
        targets: NDArray[np.int64],
        model: PortraitModel,
        cache: TextCache,
        settings: TrainSettings,
        run: Path,
        epochs: int | None = None,
        on_epoch: EpochCallback | None = None,
        warm_up: int = _WARM_UP_STEPS,
    ) -> None:
        self._epochs, self._on_epoch, self._warm_up = epochs, on_epoch, warm_up
        self._corpus, self._holdout, self._settings, self._run = corpus, holdout, settings, run
        self._model, self._cache = model, cache
        samples = distributed.compute_once(lambda: build_training_samples(corpus, targets))
        self._batcher = Batcher(corpus, samples, settings.batch_events, settings.pairs_per_window)
        batches = len(self._batcher.split_epoch(self._make_generator(0)))
        self._total_steps = min(
            settings.max_steps, settings.max_epochs * math.ceil(batches / settings.gradient_accumulation)
        )
        bert_steps = self._count_bert_steps(self._total_steps)
        self._rank_budget = RankBudget(model.text.bert, bert_steps) if settings.finetune is FineTuning.ADALORA else None
        self._optimizer = EncoderOptimizer(model, settings, self._rate_factor)
        self._sampler = NegativeSampler(holdout.item_counts, settings)
        self._event_weights = distributed.compute_once(
            lambda: position_bias.inverse_propensity_weights(corpus, holdout.train, settings)
        )
        self._state = TrainerState()
        self._cache_is_stale = False

    def train(
        self, resume: bool, before_step: Callable[[], None] = lambda: None, start: Callable[[], None] = lambda: None
    ) -> int:
        """Train to the end. The model then has the weights of the best validated epoch, or without validation the last.

        Args:
            resume: continue from the run's last checkpoint, if there is one.
            before_step: called before each step.
            start: called before the first step, when all weights have their first values.

        Returns:
            The number of epochs after which the model had these weights.
        """
        distributed.copy_from_main(self._model.state_dict().values())
        if resume and (self._run / CHECKPOINT_FILE).exists():
            self._restore_checkpoint(checkpoints.load_state(self._run / CHECKPOINT_FILE))
        else:
            self._cache.encode_missing()
            self._model.text.fit_projection(self._cache.pooled)
            start()
        with (
            show_progress("fine-tuning", self._total_steps, self._state.step) as report_progress,
            tracking.open_trackers(self._run, self._settings, self._state.step) as tracker,
        ):
            while not self._is_finished():
                self._train_epoch(tracker, before_step, lambda: report_progress(self._state.step))
            if self._epochs is None:
                tracker.log_metrics({"validation/best_ndcg@10": self._state.best})
        self._cache.detach()
        if self._epochs is not None:
            return self._state.epoch
        distributed.wait_for_all()  # the main process may still write the file
        best = checkpoints.load_state(self._run / BEST_FILE)
        self._model.load_state_dict(best["model"])
        self._cache.pooled.copy_(best["texts"])
        return int(max(self._state.history, key=lambda entry: entry["validation_ndcg@10"])["epoch"]) + 1

    @property
    def steps(self) -> int:
        """Optimiser steps that are done, over all epochs."""
        return self._state.step

    @property
    def _trains_bert(self) -> bool:
        """True if the BERT is trained in the next step."""
        settings = self._settings
        late = self._state.step >= settings.frozen_bert_share * self._total_steps
        return late and self._state.step % settings.bert_every_steps == 0 and settings.finetune is not FineTuning.FROZEN

    def _count_bert_steps(self, end: int) -> int:
        """Count the steps before `end` in which the BERT is trained; see `_trains_bert`."""
        first, every = math.ceil(self._settings.frozen_bert_share * self._total_steps), self._settings.bert_every_steps
        return max(0, math.ceil(end / every) - math.ceil(first / every))

    def _is_finished(self) -> bool:
        if self._state.step >= self._total_steps:
            return True
        if self._epochs is not None:
            return self._state.epoch >= self._epochs
        return self._state.epoch >= self._settings.max_epochs or self._state.stale_epochs > self._settings.patience

    def _train_epoch(
        self, tracker: Tracker, before_step: Callable[[], None], report_progress: Callable[[], None]
    ) -> None:
        losses = []
        batches = self._batcher.split_epoch(self._make_generator(self._state.epoch))
        while self._state.batch < len(batches) and self._state.step < self._total_steps:
            group = batches[self._state.batch : self._state.batch + self._settings.gradient_accumulation]
            before_step()
            losses.append(self.train_step(group))
            tracker.log_scalars(self._state.step, {"train/loss": losses[-1], "train/rate": self._optimizer.rate})
            report_progress()
            if self._state.step % _CHECKPOINT_STEPS == 0:
                self._save_checkpoint()
        if self._cache_is_stale:
            # Some cached texts were encoded by older weights. Validate the vectors that an export would have now.
            self._cache.recompute()
            self._cache_is_stale = False
        if self._epochs is None:
            self._validate_epoch(tracker, losses)
        self._state.epoch, self._state.batch = self._state.epoch + 1, 0
        self._save_checkpoint()

    def _validate_epoch(self, tracker: Tracker, losses: list[float]) -> None:
        """Validate, and keep the weights if they are the best."""
        ndcg = self._validate()
        tracker.log_scalars(self._state.step, {"validation/ndcg@10": ndcg})
        entry = {"epoch": self._state.epoch, "step": self._state.step, "validation_ndcg@10": ndcg}
        self._state.history.append(entry | ({"loss": float(np.mean(losses))} if losses else {}))
        self._state.stale_epochs += 1
        if ndcg > self._state.best:
            self._state.best, self._state.stale_epochs = ndcg, 0
            best = {"model": self._model.state_dict(), "texts": self._cache.pooled}
            checkpoints.save_state(best, self._run / BEST_FILE)
        if self._on_epoch:
            self._on_epoch(self._state.epoch, ndcg)

    def train_step(self, group: list[NDArray[np.int64]]) -> float:
        """Take one optimiser step over a group of batches; returns the mean loss of a pair, in nats."""
        self._model.train()
        self._seed_dropout()
        self._optimizer.zero_grad()
        total, trains_bert = 0.0, self._trains_bert
        for windows in group:
            random = self._make_generator(self._state.epoch, self._state.batch)
            batch = self._batcher.build_batch(windows, random, distributed.get_rank(), distributed.count_processes())
            if trains_bert:
                self._cache_is_stale = True
                self._cache.refresh(self._choose_texts(batch, random))
            loss = self._compute_loss(batch, random)
            whole_loss = distributed.add_up(loss.detach().clone())
            self._require_finite("loss", whole_loss)
            (loss / len(group)).backward()
            total += float(whole_loss) / len(group)
            self._state.batch += 1
        self._cache.detach()
        distributed.add_up_gradients(self._model.parameters())
        if trains_bert and self._rank_budget:
            self._rank_budget.orthogonality_penalty().backward()
        self._require_finite("gradient", self._optimizer.clip_gradients(_MAX_GRADIENT_NORM))
        self._optimizer.step()
        if trains_bert and self._rank_budget:
            self._rank_budget.allocate(self._count_bert_steps(self._state.step))
        self._state.step += 1
        return total

    def _require_finite(self, name: str, value: Tensor) -> None:
        """Stop a training that diverges, before it spoils the weights and the last checkpoint.

        Raises:
            TrainingError: the value is infinite or not a number.
        """
        if torch.isfinite(value):
            return
        settings = self._settings
        cause = (
            f"most likely steps are too large: lower learning_rate ({settings.learning_rate:g}), bert_learning_rate "
            f"({settings.bert_learning_rate:g}) or scale ({settings.scale:g}), in a new run"
            if self._state.step
            else f"most likely the values of the base model {settings.base_model!r} are too large: name another one"
        )
        raise TrainingError(f"the {name} is {float(value)} at step {self._state.step + 1}, so training stops; {cause}")

    def _compute_loss(self, batch: Batch, random: np.random.Generator) -> Tensor:
        """Compute this process's part of the mean softmax cross-entropy of the targets, weighted against position bias.

        The parts of all processes add up to the mean over the pairs of the whole batch, and so do their gradients.

        A target competes with all items, or in a large catalogue with sampled ones and log-Q correction
        (`NegativeSampler`). The correction subtracts the log of each sampled item's expected count (Bengio and Senecal
        2008, and Yi et al. 2019, section 3.2, for two-tower retrieval).
        """
        items, log_q, labels = self._sampler.draw(batch.target, random)
        device, subspaces = self._model.device, self._settings.subspaces
        with autocast_step(device, self._settings.precision):
            profiles = self._model.encode_profiles(self._cache, self._corpus, batch).float()
            vectors = self._model.encode_items(self._cache, self._corpus, items).float()
        # From here on float32: a logit of 20 in bfloat16 is off by up to 0.06.
        target, correction = to_device(labels[batch.pair], device), to_device(log_q, device)
        # A whole vector has length one, so a subspace's own cosine is `subspaces` times its part of the inner product.
        scale = self._model.scale * subspaces
        parts = zip(
            split_subspaces(profiles, subspaces).unbind(-2), split_subspaces(vectors, subspaces).unbind(-2), strict=True
        )
        losses = [
            functional.cross_entropy(scale * profile @ item.T - correction, target, reduction="none")
            for profile, item in parts
        ]
        weights = to_device(self._event_weights[batch.target_event], device)
        return (torch.stack(losses).sum(0) * weights).sum() / len(batch.target)

    def _choose_texts(self, batch: Batch, random: np.random.Generator) -> NDArray[np.int64]:
        """Choose texts of the batch to encode with gradients: those of targets, which get the largest gradients."""
        rows = np.unique(self._corpus.item_text[batch.target])
        return random.choice(rows, min(self._settings.bert_texts_per_step, len(rows)), replace=False)

    def _validate(self) -> float:
        """Compute NDCG@10 of the validation targets over the whole catalogue, by the profile's vector alone."""
        targets = self._holdout.validation
        if len(targets) > _MAX_VALIDATION_SHOPPERS:
            chosen = np.random.default_rng(self._settings.seed).choice(
                len(targets), _MAX_VALIDATION_SHOPPERS, replace=False
            )
            targets = targets[np.sort(chosen)]
        share = distributed.take_share(targets)
        vectors = retrieval.encode_targets(self._model, self._cache, self._corpus, share)
        ranked = retrieval.rank_catalogue(self._corpus, vectors, 10, self._holdout.mask_seen)
        ranks = retrieval.find_ranks(ranked, self._corpus.event_item[vectors.targets])
        sums = torch.tensor([metrics.ndcg(ranks, 10).sum(), len(ranks)], dtype=torch.float64).to(self._model.device)
        total, count = distributed.add_up(sums).cpu().tolist()
        return float(total / count) if count else 0.0

    def _seed_dropout(self) -> None:
        """Seed the dropout of a step by its position in the run and the process.

        Only the generator of a single process on the CPU is not seeded: its state is in the checkpoint.
        """
        if self._model.device != CPU or not distributed.is_main():
            position = (self._settings.seed, self._state.epoch, self._state.batch, distributed.get_rank())
            torch.manual_seed(int(np.random.SeedSequence(position).generate_state(1)[0]))

    def _make_generator(self, *position: int) -> np.random.Generator:
        """Make a random generator for a position in the run: an epoch, or an epoch and a batch.

        It depends on nothing else but the seed, so a resumed run draws the same numbers as one without a pause.
        """
        return np.random.default_rng((self._settings.seed, *position))

    def _rate_factor(self, step: int) -> float:
        """Return the factor of the learning rate at a step: linear warm-up, then linear decay."""
        return min(1.0, (step + 1) / self._warm_up) * max(_MIN_RATE_FACTOR, 1.0 - step / self._total_steps)

    def _save_checkpoint(self) -> None:
        state = {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "texts": self._cache.pooled,
            "cache_is_stale": self._cache_is_stale,
            "torch_random": torch.get_rng_state(),
            "trainer_state": vars(self._state),
        }
        if self._rank_budget:
            state["rank_budget"] = self._rank_budget.state_dict()
        checkpoints.save_state(state, self._run / CHECKPOINT_FILE)

    def _restore_checkpoint(self, state: dict[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._cache.pooled.copy_(state["texts"])
        self._cache_is_stale = state["cache_is_stale"]
        torch.set_rng_state(state["torch_random"])
        self._state = TrainerState(**state["trainer_state"])
        if self._rank_budget:
            self._rank_budget.load_state_dict(state["rank_budget"])
