"""A run: one training from a data set to a model in a folder.

<run>/settings.json     settings of the training (`TrainSettings`)
<run>/data.json         path, content identity and report of the data set; see `dataset.data_set`
<run>/adaptation.pt     state of the base model's adaptation, then its result
<run>/checkpoint.pt     state of the encoders' training, from which `--resume` continues
<run>/best.pt           encoders of the epoch with the best validation so far
<run>/tokenizer.json    tokenizer of the base model
<run>/relations.npz     item-to-item matrices that say where a history leads
<run>/model.pt          encoders and ranker, written last: a run without it has not ended
<run>/baselines.json    settings of the baselines, and their ranks of validation targets
<run>/validation.json   how the run ranks these targets beside the baselines
<run>/tensorboard/      scalars
<run>/tracking.json     tracker beside TensorBoard, if any
<run>/metrics-<split>.json   results of `portrait evaluate`
<run>/traits.json, traits.pt, traits-test.parquet   results of `portrait train-traits`
<run>/fairness-<split>.json  result of `portrait audit-fairness`
<run>/train-only/       only in a refit: a complete run, which chose the epochs and fitted the ranker
<run>/unlearning.json   only after `portrait unlearn`: who was left out, and how much was trained

A run has two stages with separate targets. The encoders and the relations learn from most training events. The ranker
learns from the rest (`ranker.targets`), so that it sees their errors on events that they have not memorised. At the
end, the relations are fitted to all training events.
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from portrait.features.candidates.relations import Relations
from portrait.features.release import layout as release_layout
from portrait.features.text.tokenizer import TextTokenizer
from portrait.training import checkpoints, distributed
from portrait.training.dataset import corpus as corpora
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.data_set import open_data_set, open_data_set_of_run, read_data_record
from portrait.training.dataset.splits import Holdout, hold_out
from portrait.training.devices import CPU
from portrait.training.encoders import concept_erasure, domain_adaptation
from portrait.training.encoders.concept_eraser import ConceptEraser
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.peft import finetuning_after_merge, merge_adapters
from portrait.training.encoders.trainer import EpochCallback, Trainer
from portrait.training.errors import TrainingError, to_one_line
from portrait.training.ranker import item_index as indexes
from portrait.training.ranker import ranking
from portrait.training.ranker.item_index import ItemIndex
from portrait.training.ranker.item_statistics import compute_item_statistics
from portrait.training.ranker.model import Ranker
from portrait.training.ranker.ranking import RankerSamples
from portrait.training.ranker.relations import fit_relations
from portrait.training.run.beside import BesideEncoders, open_beside
from portrait.training.run.continued_encoders import WARM_RANKER_EPOCHS, WARM_RANKER_RATE_FACTOR, continue_encoders
from portrait.training.run.folder import SETTINGS_FILE, TRAIN_ONLY_FOLDER, RunFolder, read_unlearning
from portrait.training.run.kept_baselines import rank_validation
from portrait.training.run.ranker_samples import collect_ranker_samples
from portrait.training.run.stages import show_stage
from portrait.training.run.targets import choose_targets
from portrait.training.run.untrained_model import UntrainedModel, make_untrained_model
from portrait.training.settings import TrainSettings
from portrait.training.tracking import TrackerConfig
from portrait.training.traits import artifacts
from portrait.training.traits.artifacts import FittedTraits

MODEL_FILE, TOKENIZER_FILE, VALIDATION_FILE = "model.pt", "tokenizer.json", "validation.json"


@dataclass
class TrainedRun:
    """A run that has ended, with everything that was trained loaded into memory."""

    folder: Path
    settings: TrainSettings
    corpus: Corpus
    holdout: Holdout
    model: PortraitModel
    ranker: Ranker
    relations: Relations
    index: ItemIndex
    cache: TextCache
    """Outputs of the text encoder for all texts of the corpus."""
    data: dict[str, Any]
    """Path, content identity and report of the data set."""
    traits: FittedTraits | None
    """Result of `portrait train-traits`; None if it has not run."""
    unlearning: dict[str, Any] | None
    """Record of `portrait unlearn`; None of a run that was trained from the start."""


def train_run(
    data: Path, folder: Path, settings: TrainSettings, resume: bool = False, tracker: TrackerConfig | None = None,
    device: torch.device = CPU,
) -> Corpus | None:  # fmt: skip
    """Train a run and write it to its folder.

    Args:
        data: folder of a prepared data set.
        folder: the run's own folder; new, unless `resume`.
        settings: how to train; with `resume` they must equal those with which the run began.
        resume: continue from the run's last checkpoint.
        tracker: tracker that gets the scalars besides TensorBoard; a resumed run keeps the one with which it began.
        device: where the encoders are trained; a resumed run may go on elsewhere.

    Returns:
        The data set's events, for what follows; None if the run had ended before.

    Raises:
        TrainingError: the data set is too small, the folder can't be used, or a tracker's library is missing.
    """
    if folder.is_file():
        raise TrainingError(f"{folder} is a file; name a folder for the run")
    run = RunFolder(folder, distributed.compute_once(lambda: open_data_set(data)), settings, resume, tracker, device)
    run.require_usable()
    if (folder / MODEL_FILE).exists():
        run.begin()  # The run has ended. Only the path of its data set may have changed: record it.
        return None
    with show_stage("reading the events"):
        corpus = corpora.load_shared_corpus(run.data.folder)
    train_unfinished(run, corpus)
    return corpus


def train_unfinished(run: RunFolder, corpus: Corpus) -> None:
    """Train a run that has no model yet.

    `run.begin` writes the folder only after every check has passed, so that a refused run leaves nothing behind.
    """
    names = run.settings.erase
    declared = concept_erasure.read_declared_values(run.data.folder, corpus, names) if names else None
    if run.settings.refit:
        _refit(run, corpus, declared)
    else:
        _train_only(run, corpus, declared)


def _train_only(run: RunFolder, corpus: Corpus, declared: NDArray[np.int64] | None) -> None:
    """Train encoders and relations on most training events, and the ranker on the others."""
    settings = run.settings
    holdout = distributed.compute_once(lambda: hold_out(corpus, settings.split))
    targets = distributed.compute_once(lambda: choose_targets(corpus, holdout, settings.seed))
    untrained = _make_untrained_model(run, corpus, holdout)
    run.begin()
    with open_beside() as beside:
        relations_of_ranker = beside.plan(fit_relations, corpus, targets.encoders, settings)
        relations_of_run = beside.plan(fit_relations, corpus, holdout.learnt(corpus), settings)
        compared = None if run.warm_start else beside.plan(rank_validation, run.path, corpus, holdout, settings.seed)
        model, cache, effort = _train_encoders(run, untrained, corpus, holdout, targets.encoders, beside)
        if not distributed.is_main():
            return  # The rest is not shared.
        if declared is not None:
            concept_erasure.erase_concepts(model, cache, corpus, holdout, declared)
        with show_stage("fitting relations"):
            relations = relations_of_ranker.result()
        samples = collect_ranker_samples(model, cache, corpus, holdout, targets, relations, settings)
        ranker = _fit_ranker(run, samples, model, beside)
        with show_stage("fitting relations to all events, and baselines"):
            relations = relations_of_run.result()
            if compared:
                compared.exception()  # The comparison meets the same error again, and reports it.
    _save(run, model, cache, ranker, relations, effort)


def _fit_ranker(run: RunFolder, samples: RankerSamples, model: PortraitModel, beside: BesideEncoders) -> Ranker:
    scale = float(model.scale.detach())
    epochs, factor = (WARM_RANKER_EPOCHS, WARM_RANKER_RATE_FACTOR) if run.warm_start else (ranking.EPOCHS, 1.0)
    with show_stage("fitting the ranker"):
        ranker = ranking.fit_ranker(samples, scale, run.settings.seed, beside.share_cores, epochs, factor)
    ranker.cold_item_boost.fill_(run.settings.cold_item_boost)
    return ranker


def _refit(run: RunFolder, corpus: Corpus, declared: NDArray[np.int64] | None) -> None:
    """Train the run twice: train only, then encoders and relations again on everything before the test.

    The first training chooses the number of epochs by validation. The second includes the validation events, so it
    can't choose; it trains for the same number of epochs and keeps the ranker of the first.
    """
    train_only_folder, settings = run.path / TRAIN_ONLY_FOLDER, run.settings
    if (train_only_folder / MODEL_FILE).exists():
        run.begin()
    else:
        resume = run.resume and (train_only_folder / SETTINGS_FILE).exists()
        train_only = RunFolder(
            train_only_folder,
            run.data,
            dataclasses.replace(settings, refit=False),
            resume,
            run.tracker,
            run.device,
            run,
        )
        train_only.require_usable()
        train_unfinished(train_only, corpus)
        distributed.wait_for_all()
    train_only_state = checkpoints.load_state(train_only_folder / MODEL_FILE)
    holdout = distributed.compute_once(lambda: hold_out(corpus, settings.split, refit=True))
    targets = distributed.compute_once(lambda: holdout.learnt(corpus))
    untrained = _make_untrained_model(run, corpus, holdout)
    with open_beside() as beside:
        fitted = beside.plan(fit_relations, corpus, targets, settings)
        model, cache, effort = _train_encoders(
            run, untrained, corpus, holdout, targets, beside, epochs=int(train_only_state["epochs"]),
            adaptation_weight=domain_adaptation.read_chosen_weight(train_only_folder),
        )  # fmt: skip
        if not distributed.is_main():
            return
        relations = fitted.result()
    if declared is not None:
        concept_erasure.erase_concepts(model, cache, corpus, holdout, declared)
    ranker = Ranker(1.0, 1.0, settings.dimension)
    ranker.load_state_dict(train_only_state["ranker"])
    _save(run, model, cache, ranker, relations, effort)


def _make_untrained_model(run: RunFolder, corpus: Corpus, holdout: Holdout) -> UntrainedModel:
    """Make the model of a run; one with a warm start has no adapters, since the earlier ones are merged."""
    settings = _merged_settings(run.settings) if run.warm_start else run.settings
    return make_untrained_model(corpus, holdout, settings, run.device)


def _train_encoders(
    run: RunFolder, untrained: UntrainedModel, corpus: Corpus, holdout: Holdout, targets: NDArray[np.int64],
    beside: BesideEncoders, epochs: int | None = None, on_epoch: EpochCallback | None = None,
    adaptation_weight: float | None = None,
) -> tuple[PortraitModel, TextCache, dict[str, int]]:  # fmt: skip
    """Adapt the base model, train the encoders, and merge their adapters, as the export expects them.

    Returns:
        The model, its cache of texts, and the effort: the number of `epochs` after which the model was as it is
        returned, and of the `steps` of a whole training.
    """
    model, cache, tokenizer = untrained
    if distributed.is_main():
        tokenizer.save(run.path / TOKENIZER_FILE)
    if run.warm_start:
        effort = continue_encoders(run, run.warm_start, untrained, corpus, holdout, targets, beside.share_cores)
    else:
        weight = domain_adaptation.adapt_base_model(
            model, cache, corpus, holdout, targets, run.settings, run.path, run.resume, adaptation_weight
        )
        settings = domain_adaptation.settle_finetuning(model, run.settings, weight)
        trainer = Trainer(corpus, holdout, targets, model, cache, settings, run.path, epochs, on_epoch)
        effort = {"epochs": trainer.train(run.resume, beside.share_cores), "steps": trainer.steps}
    beside.share_cores()  # A training that had ended before has taken no step.
    model.text.bert = merge_adapters(model.text.bert)
    _move(model.eval(), cache, CPU)  # where the index is computed
    indexes.fill_cold_residuals(model, cache, corpus, holdout.item_counts)
    _move(model, cache, run.device)
    return model, cache, effort


def _move(model: PortraitModel, cache: TextCache, device: torch.device) -> None:
    model.to(device)
    cache.follow_encoder()


def _save(
    run: RunFolder, model: PortraitModel, cache: TextCache, ranker: Ranker, relations: Relations, effort: dict[str, int]
) -> None:
    _require_finite(model, ranker)
    relations.save(run.path / release_layout.RELATIONS)
    state = {"model": model.state_dict(), "ranker": ranker.state_dict(), "texts": cache.pooled, **effort}
    state["processor_seconds"] = _measure_whole_training(run)
    checkpoints.save_state(state, run.path / MODEL_FILE)  # last, since the file marks the run as ended


def _measure_whole_training(run: RunFolder) -> float | None:
    """Processor time of a training from the start, in seconds; None if it was resumed, or done by several processes."""
    if run.warm_start:
        return run.warm_start.whole_seconds
    return None if run.resume or distributed.count_processes() > 1 else time.process_time() - run.began


def _require_finite(*trained: nn.Module) -> None:
    """Refuse weights that are not finite. The trainer checks its own steps; this checks what is fitted after them."""
    for module in trained:
        for name, values in module.state_dict().items():
            if not torch.isfinite(values).all():
                raise TrainingError(
                    f"training ended with values of {name!r} that are no numbers; nothing is kept of the model. "
                    "Lower learning_rate, bert_learning_rate or scale"
                )


def require_trainable(data: Path, settings: TrainSettings) -> None:
    """Require that a data set can be trained on with some settings; writes nothing.

    Raises:
        TrainingError: the data set is too small, or the base model can't be read.
    """
    corpus = corpora.load_corpus(data)
    holdout = hold_out(corpus, settings.split)
    choose_targets(corpus, holdout, settings.seed)
    make_untrained_model(corpus, holdout, settings, CPU)


def run_trial(
    data: Path, folder: Path, settings: TrainSettings, on_epoch: EpochCallback, tracker: TrackerConfig | None = None,
    device: torch.device = CPU,
) -> float:  # fmt: skip
    """Train only the encoders of a new run, to score its settings by validation; saves no model.

    Args:
        data: folder of a prepared data set.
        folder: the run's own, new folder.
        settings: how to train.
        on_epoch: called with the number and the validation NDCG@10 of each epoch; its errors end training.
        tracker: tracker that gets the scalars besides TensorBoard.
        device: where it is trained.

    Returns:
        The best validation NDCG@10.

    Raises:
        TrainingError: the data set is too small, or the folder can't be used.
    """
    run = RunFolder(folder, distributed.compute_once(lambda: open_data_set(data)), settings, False, tracker, device)
    run.require_usable()
    corpus = corpora.load_shared_corpus(data)
    holdout = distributed.compute_once(lambda: hold_out(corpus, settings.split))
    targets = distributed.compute_once(lambda: choose_targets(corpus, holdout, settings.seed)).encoders
    values: list[float] = []

    def record_epoch(epoch: int, ndcg: float) -> None:
        values.append(ndcg)
        on_epoch(epoch, ndcg)

    untrained = make_untrained_model(corpus, holdout, settings, device)
    run.begin()
    with open_beside() as beside:
        _train_encoders(run, untrained, corpus, holdout, targets, beside, on_epoch=record_epoch)
    return max(values)


def load_run(folder: Path, device: torch.device = CPU, corpus: Corpus | None = None) -> TrainedRun:
    """Load a run that has ended.

    Args:
        folder: the run's.
        device: where its encoders shall be, whichever they were trained on.
        corpus: the events of its data set, if they are in memory.

    Raises:
        TrainingError: the run has not ended, one of its files is damaged, or its data set is gone or has changed.
    """
    if not (folder / MODEL_FILE).exists():
        raise TrainingError(f"{folder} holds no trained model; run `portrait train DATA {folder}` (or --resume) first")
    settings = TrainSettings.read(folder / SETTINGS_FILE)
    data = open_data_set_of_run(folder)
    corpus = corpus or corpora.load_corpus(data.folder)
    try:
        return _load_parts(folder, settings, corpus, device)
    except TrainingError:
        raise
    except Exception as error:  # a damaged file makes each library fail in its own way
        raise TrainingError(f"{folder} is damaged: {to_one_line(error)}") from error


def _load_parts(folder: Path, settings: TrainSettings, corpus: Corpus, device: torch.device) -> TrainedRun:
    state = checkpoints.load_state(folder / MODEL_FILE)
    model = PortraitModel(_merged_settings(settings), len(corpus.items), pretrained=False)
    if settings.erase:
        model.profile.eraser = ConceptEraser(settings.dimension, settings.subspaces)
    model.load_state_dict(state["model"])
    model.eval().to(device)
    ranker = Ranker(1.0, 1.0, settings.dimension)
    ranker.load_state_dict(state["ranker"])
    cache = TextCache(model.text, TextTokenizer.load(folder / TOKENIZER_FILE), corpus.texts, settings.precision)
    cache.pooled.copy_(state["texts"])
    holdout = hold_out(corpus, settings.split, settings.refit)
    relations = Relations.load(folder / release_layout.RELATIONS)
    statistics = compute_item_statistics(corpus, holdout.learnt(corpus))
    index = indexes.build_item_index(model, cache, corpus, holdout.item_counts, statistics)
    ranker.describe_items(index.vectors)  # a refit has the ranker of other vectors
    return TrainedRun(
        folder, settings, corpus, holdout, model, ranker.eval(), relations, index, cache,
        read_data_record(folder), artifacts.load_traits(folder), read_unlearning(folder),
    )  # fmt: skip


def _merged_settings(settings: TrainSettings) -> TrainSettings:
    """Return settings that build the model as it is saved: with adapters merged into the weights.

    Only a prefix can't be merged; its model keeps it.
    """
    return dataclasses.replace(settings, finetune=finetuning_after_merge(settings.finetune))
