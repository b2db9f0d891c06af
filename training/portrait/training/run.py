"""A run: one training from a data set to a model in a folder.

<run>/settings.json     what it was trained with
<run>/data.json         which data set, and its report
<run>/checkpoint.pt     where it stands
<run>/associations.npz  which items follow which
<run>/model.pt          written last: a run without it has not ended
<run>/tensorboard/      scalars
<run>/metrics-<split>.json   what `portrait evaluate` measured
<run>/train-only/       of a refit: the run, whole in itself, that chose epochs and fitted the ranker
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from portrait.features import release as files
from portrait.features.associations import Associations
from portrait.features.tokens import TextTokenizer
from portrait.training import associations, checkpoints, ranking, retrieval
from portrait.training import corpus as corpora
from portrait.training.corpus import NO_ITEM, Corpus
from portrait.training.errors import TrainingError
from portrait.training.loop import Loop, Watch
from portrait.training.model import PortraitModel, TextCache
from portrait.training.models.ranker import Ranker
from portrait.training.models.text_encoder import base_tokenizer
from portrait.training.settings import TrainSettings
from portrait.training.splits import Holdout, hold_out
from portrait.training.tuning import merge, remains

SETTINGS, DATA, MODEL, TOKENIZER = "settings.json", "data.json", "model.pt", "tokenizer.json"
TRAIN_ONLY = "train-only"

MINIMUM_SHOPPERS = 20
MINIMUM_SAMPLES = 100


@dataclass
class TrainedRun:
    """A run that has ended, loaded."""

    folder: Path
    settings: TrainSettings
    corpus: Corpus
    holdout: Holdout
    model: PortraitModel
    ranker: Ranker
    associations: Associations
    cache: TextCache
    data: dict[str, Any]
    """Path and report of the data set."""


def train(data: Path, folder: Path, settings: TrainSettings, resume: bool = False) -> None:
    """Train a run.

    Args:
        data: folder of a prepared data set.
        folder: the run's own folder; new, unless `resume`.
        settings: how to train; on `resume` they must be those the run began with.
        resume: go on from the run's last checkpoint.

    Raises:
        TrainingError: data or folder do not allow it.
    """
    _open(folder, settings, resume)
    _write_data(data, folder)
    corpus = corpora.load(data)
    if settings.refit:
        _refit(data, corpus, folder, settings, resume)
    else:
        _train_only(corpus, folder, settings, resume)


def _train_only(corpus: Corpus, folder: Path, settings: TrainSettings, resume: bool) -> None:
    """Encoders and associations learn from the training events; the ranker from some that are kept from them."""
    holdout = hold_out(corpus, settings.split)
    for_ranker = ranking.ranker_targets(corpus, holdout, settings.seed)
    targets = _encoder_targets(corpus, holdout, for_ranker)
    model, cache, epochs = _train_encoders(corpus, holdout, targets, folder, settings, resume)
    linked = associations.fit(corpus, targets, settings)
    vectors = retrieval.encode_targets(model, cache, corpus, for_ranker)
    texts = retrieval.text_vectors(model, cache)
    ranker = ranking.fit(corpus, holdout, vectors, linked, texts, float(model.scale.detach()), settings.seed)
    _save(folder, model, cache, ranker, linked, epochs)


def _refit(data: Path, corpus: Corpus, folder: Path, settings: TrainSettings, resume: bool) -> None:
    """Encoders and associations learn from all that is earlier than the test, as a run without that chose."""
    first = folder / TRAIN_ONLY
    if not (first / MODEL).exists():
        train(data, first, dataclasses.replace(settings, refit=False), resume and (first / SETTINGS).exists())
    chosen = checkpoints.load(first / MODEL)
    holdout = hold_out(corpus, settings.split, refit=True)
    targets = np.flatnonzero(holdout.train & (corpus.event_item != NO_ITEM))
    model, cache, epochs = _train_encoders(
        corpus, holdout, targets, folder, settings, resume, epochs=int(chosen["epochs"])
    )
    ranker = Ranker(1.0, 1.0)
    ranker.load_state_dict(chosen["ranker"])
    _save(folder, model, cache, ranker, associations.fit(corpus, targets, settings), epochs)


def _train_encoders(
    corpus: Corpus, holdout: Holdout, targets: NDArray[np.int64], folder: Path, settings: TrainSettings, resume: bool,
    epochs: int | None = None, watch: Watch | None = None,
) -> tuple[PortraitModel, TextCache, int]:  # fmt: skip
    """The encoders as they are to be exported, their texts, and after how many epochs."""
    torch.manual_seed(settings.seed)
    tokenizer = base_tokenizer(settings.base_model)
    tokenizer.save(folder / TOKENIZER)
    model = PortraitModel(settings, len(corpus.items))
    model.forget(holdout.item_counts == 0)
    cache = TextCache(model.text, tokenizer, corpus.texts)
    epochs = Loop(corpus, holdout, targets, model, cache, settings, folder, epochs, watch).train(resume)
    model.text.bert = merge(model.text.bert)
    model.eval()
    return model, cache, epochs


def _save(
    folder: Path, model: PortraitModel, cache: TextCache, ranker: Ranker, linked: Associations, epochs: int
) -> None:
    linked.save(folder / files.ASSOCIATIONS)
    state = {"model": model.state_dict(), "ranker": ranker.state_dict(), "texts": cache.pooled, "epochs": epochs}
    checkpoints.save(state, folder / MODEL)


def try_out(data: Path, folder: Path, settings: TrainSettings, watch: Watch) -> float:
    """Train the encoders of a new run alone, for what validation says of the settings; leaves no model.

    Args:
        data: folder of a prepared data set.
        folder: the run's own, new folder.
        settings: how to train.
        watch: told the number and the validation NDCG@10 of each epoch; what it raises ends the training.

    Returns:
        The best validation NDCG@10.

    Raises:
        TrainingError: data or folder do not allow it.
    """
    _open(folder, settings, resume=False)
    corpus = corpora.load(data)
    holdout = hold_out(corpus, settings.split)
    targets = _encoder_targets(corpus, holdout, ranking.ranker_targets(corpus, holdout, settings.seed))
    values: list[float] = []

    def kept(epoch: int, ndcg: float) -> None:
        values.append(ndcg)
        watch(epoch, ndcg)

    _train_encoders(corpus, holdout, targets, folder, settings, resume=False, watch=kept)
    return max(values)


def load(folder: Path) -> TrainedRun:
    """Load a run that has ended.

    Raises:
        TrainingError: it has not, or its data set is gone.
    """
    if not (folder / MODEL).exists():
        raise TrainingError(f"{folder} holds no trained model; run `portrait train DATA {folder}` (or --resume) first")
    settings = TrainSettings.read(folder / SETTINGS)
    data = json.loads((folder / DATA).read_text())
    corpus = corpora.load(Path(data["path"]))
    state = checkpoints.load(folder / MODEL)
    if len(state["texts"]) != len(corpus.texts):
        raise TrainingError(f"the data set {data['path']} is not the one that {folder} was trained on")
    model = PortraitModel(_plain(settings), len(corpus.items), pretrained=False)
    model.load_state_dict(state["model"])
    model.eval()
    ranker = Ranker(1.0, 1.0)
    ranker.load_state_dict(state["ranker"])
    cache = TextCache(model.text, TextTokenizer.load(folder / TOKENIZER), corpus.texts)
    cache.pooled.copy_(state["texts"])
    holdout = hold_out(corpus, settings.split, settings.refit)
    linked = Associations.load(folder / files.ASSOCIATIONS)
    return TrainedRun(folder, settings, corpus, holdout, model, ranker.eval(), linked, cache, data)


def _plain(settings: TrainSettings) -> TrainSettings:
    """Adapters are folded in when a run ends: its model has none but a prefix."""
    return dataclasses.replace(settings, tuning=remains(settings.tuning))


def _open(folder: Path, settings: TrainSettings, resume: bool) -> None:
    written = folder / SETTINGS
    if resume:
        if not written.exists():
            raise TrainingError(f"{folder} holds no run to resume")
        if TrainSettings.read(written) != settings:
            raise TrainingError(f"{folder} began with other settings ({written}); resume it with the same options")
        return
    if folder.exists() and any(folder.iterdir()):
        raise TrainingError(f"{folder} is not empty; add --resume to go on with its run, or name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    settings.write(written)


def _write_data(data: Path, folder: Path) -> None:
    report = data / "report.json"
    content = {
        "path": str(data.resolve()),
        "report": json.loads(report.read_text()) if report.exists() else {},
    }
    (folder / DATA).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _encoder_targets(corpus: Corpus, holdout: Holdout, for_ranker: NDArray[np.int64]) -> NDArray[np.int64]:
    shoppers = len(corpus.shopper_ids)
    learnt = holdout.train & (corpus.event_item != NO_ITEM)
    learnt[for_ranker] = False
    targets = np.flatnonzero(learnt)
    if shoppers < MINIMUM_SHOPPERS or len(targets) < MINIMUM_SAMPLES:
        raise TrainingError(
            f"too little data: {shoppers} shoppers and {len(targets)} events to learn from; "
            f"at least {MINIMUM_SHOPPERS} and {MINIMUM_SAMPLES} are needed"
        )
    return targets
