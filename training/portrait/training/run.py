"""A run: one training from a data set to a model in a folder.

<run>/settings.json     what it was trained with
<run>/data.json         which data set, and its report
<run>/checkpoint.pt     where it stands
<run>/associations.npz  which items follow which
<run>/model.pt          written last: a run without it has not ended
<run>/tensorboard/      scalars
<run>/tracking.json     where its course is told beside TensorBoard, if anywhere
<run>/metrics-<split>.json   what `portrait evaluate` measured
<run>/traits.json, traits.pt  what `portrait traits` learnt
<run>/train-only/       of a refit: the run, whole in itself, that chose epochs and fitted the ranker
"""

import dataclasses
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from portrait.features import release as files
from portrait.features.associations import Associations
from portrait.features.replacing import replacing
from portrait.features.tokens import TextTokenizer
from portrait.training import associations, checkpoints, conceal, position_bias, ranking, retrieval, shortages, tracking
from portrait.training import corpus as corpora
from portrait.training import index as indexes
from portrait.training.corpus import NO_ITEM, Corpus
from portrait.training.errors import TrainingError
from portrait.training.index import ItemIndex
from portrait.training.loop import Loop, Watch
from portrait.training.model import PortraitModel, TextCache
from portrait.training.models.concealment import Concealment
from portrait.training.models.ranker import Ranker
from portrait.training.models.text_encoder import base_tokenizer
from portrait.training.settings import TrainSettings
from portrait.training.splits import Holdout, count_pairs, hold_out
from portrait.training.tracking import Tracking
from portrait.training.traits import learnt
from portrait.training.traits.learnt import Traits
from portrait.training.tuning import merge, remains

SETTINGS, DATA, MODEL, TOKENIZER = "settings.json", "data.json", "model.pt", "tokenizer.json"
TRAIN_ONLY = "train-only"

MOST_UNKNOWN = 0.1
"""Above this share of tokens that the base model does not know, its vectors say little of the catalogue."""

_log = logging.getLogger(__name__)


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
    index: ItemIndex
    cache: TextCache
    data: dict[str, Any]
    """Path and report of the data set."""
    traits: Traits | None
    """What `portrait traits` learnt; None if it was not asked."""


def train(
    data: Path, folder: Path, settings: TrainSettings, resume: bool = False, track: Tracking | None = None
) -> None:
    """Train a run.

    Args:
        data: folder of a prepared data set.
        folder: the run's own folder; new, unless `resume`.
        settings: how to train; on `resume` they must be those the run began with.
        resume: go on from the run's last checkpoint.
        track: where to tell its course beside TensorBoard; a resumed run goes on where it began.

    Raises:
        TrainingError: data or folder do not allow it, or a tracker's library is missing.
    """
    _open(folder, settings, resume, track)
    _write_data(data, folder)
    corpus = corpora.load(data)
    declared = conceal.declared(data, corpus, settings.conceal) if settings.conceal else None
    if settings.refit:
        _refit(data, corpus, declared, folder, settings, resume, track)
    else:
        _train_only(corpus, declared, folder, settings, resume)


def _train_only(
    corpus: Corpus, declared: NDArray[np.int64] | None, folder: Path, settings: TrainSettings, resume: bool
) -> None:
    """Encoders and associations learn from the training events; the ranker from some that are kept from them."""
    holdout = hold_out(corpus, settings.split)
    for_ranker = ranking.ranker_targets(corpus, holdout, settings.seed)
    targets = _encoder_targets(corpus, holdout, for_ranker)
    model, cache, epochs = _train_encoders(corpus, holdout, targets, folder, settings, resume)
    if declared is not None:
        conceal.conceal(model, cache, corpus, holdout, declared)
    linked = associations.fit(corpus, targets, settings)
    unlike = ranking.pretended(holdout.item_counts, settings.seed)
    index = indexes.make(model, cache, corpus, holdout.item_counts, unlike)
    vectors = retrieval.encode_targets(model, cache, corpus, for_ranker, index.vectors)
    texts = retrieval.text_vectors(model, cache)
    weights = position_bias.event_weights(corpus, holdout.train, settings)[for_ranker]
    scale = float(model.scale.detach())
    ranker = ranking.fit(corpus, holdout, vectors, index, linked, texts, weights, scale, settings.seed)
    ranker.newcomer_boost.fill_(settings.newcomer_boost)
    _save(folder, model, cache, ranker, linked, epochs)


def _refit(
    data: Path,
    corpus: Corpus,
    declared: NDArray[np.int64] | None,
    folder: Path,
    settings: TrainSettings,
    resume: bool,
    track: Tracking | None,
) -> None:
    """Encoders and associations learn from all that is earlier than the test, as a run without that chose."""
    first = folder / TRAIN_ONLY
    if not (first / MODEL).exists():
        train(data, first, dataclasses.replace(settings, refit=False), resume and (first / SETTINGS).exists(), track)
    chosen = checkpoints.load(first / MODEL)
    holdout = hold_out(corpus, settings.split, refit=True)
    targets = np.flatnonzero(holdout.train & (corpus.event_item != NO_ITEM))
    model, cache, epochs = _train_encoders(
        corpus, holdout, targets, folder, settings, resume, epochs=int(chosen["epochs"])
    )
    if declared is not None:
        conceal.conceal(model, cache, corpus, holdout, declared)
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
    _warn_of_unknown(tokenizer.unknown_share(corpus.texts), settings.base_model)
    model = PortraitModel(settings, len(corpus.items))
    model.forget(holdout.item_counts == 0)
    cache = TextCache(model.text, tokenizer, corpus.texts)
    epochs = Loop(corpus, holdout, targets, model, cache, settings, folder, epochs, watch).train(resume)
    model.text.bert = merge(model.text.bert)
    model.eval()
    indexes.lend(model, cache, corpus, holdout.item_counts)
    return model, cache, epochs


def _warn_of_unknown(share: float, base_model: str) -> None:
    if share > MOST_UNKNOWN:
        _log.warning(
            "warning: the base model %s does not know %.0f%% of what the texts consist of; name one of their language "
            "with --base-model, such as bert-base-chinese for Chinese", base_model, 100 * share,
        )  # fmt: skip


def _save(
    folder: Path, model: PortraitModel, cache: TextCache, ranker: Ranker, linked: Associations, epochs: int
) -> None:
    linked.save(folder / files.ASSOCIATIONS)
    state = {"model": model.state_dict(), "ranker": ranker.state_dict(), "texts": cache.pooled, "epochs": epochs}
    checkpoints.save(state, folder / MODEL)


def try_out(data: Path, folder: Path, settings: TrainSettings, watch: Watch, track: Tracking | None = None) -> float:
    """Train the encoders of a new run alone, for what validation says of the settings; leaves no model.

    Args:
        data: folder of a prepared data set.
        folder: the run's own, new folder.
        settings: how to train.
        watch: told the number and the validation NDCG@10 of each epoch; what it raises ends the training.
        track: where to tell its course beside TensorBoard.

    Returns:
        The best validation NDCG@10.

    Raises:
        TrainingError: data or folder do not allow it.
    """
    _open(folder, settings, False, track)
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
    data = json.loads((folder / DATA).read_text(encoding="utf-8"))
    corpus = corpora.load(Path(data["path"]))
    state = checkpoints.load(folder / MODEL)
    if len(state["texts"]) != len(corpus.texts):
        raise TrainingError(f"the data set {data['path']} is not the one that {folder} was trained on")
    model = PortraitModel(_plain(settings), len(corpus.items), pretrained=False)
    if settings.conceal:
        model.profile.concealment = Concealment(settings.dimension, settings.towers)
    model.load_state_dict(state["model"])
    model.eval()
    ranker = Ranker(1.0, 1.0)
    ranker.load_state_dict(state["ranker"])
    cache = TextCache(model.text, TextTokenizer.load(folder / TOKENIZER), corpus.texts)
    cache.pooled.copy_(state["texts"])
    holdout = hold_out(corpus, settings.split, settings.refit)
    linked = Associations.load(folder / files.ASSOCIATIONS)
    index = indexes.make(model, cache, corpus, holdout.item_counts)
    traits = learnt.load(folder)
    return TrainedRun(folder, settings, corpus, holdout, model, ranker.eval(), linked, index, cache, data, traits)


def _plain(settings: TrainSettings) -> TrainSettings:
    """Adapters are folded in when a run ends: its model has none but a prefix."""
    return dataclasses.replace(settings, tuning=remains(settings.tuning))


def _open(folder: Path, settings: TrainSettings, resume: bool, track: Tracking | None) -> None:
    written = folder / SETTINGS
    if resume:
        if not written.exists():
            raise TrainingError(f"{folder} holds no run to resume")
        if TrainSettings.read(written) != settings:
            raise TrainingError(f"{folder} began with other settings ({written}); resume it with the same options")
        tracking.choose(folder, track)
        return
    if folder.exists() and any(folder.iterdir()):
        raise TrainingError(f"{folder} is not empty; add --resume to go on with its run, or name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    tracking.choose(folder, track)
    settings.write(written)


def _write_data(data: Path, folder: Path) -> None:
    report = data / "report.json"
    content = {
        "path": str(data.resolve()),
        "report": json.loads(report.read_text(encoding="utf-8")) if report.exists() else {},
    }
    with replacing(folder / DATA) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _encoder_targets(corpus: Corpus, holdout: Holdout, for_ranker: NDArray[np.int64]) -> NDArray[np.int64]:
    """The events that the encoders learn from.

    Raises:
        TrainingError: they are too few, or say too little.
    """
    learnt = holdout.train & (corpus.event_item != NO_ITEM)
    learnt[for_ranker] = False
    if (shoppers := len(corpus.shopper_ids)) < shortages.MIN_SHOPPERS:
        raise TrainingError(
            f"too little data: {shoppers} shopper{'s' * (shoppers != 1)}; at least {shortages.MIN_SHOPPERS} are needed"
        )
    pairs = (int((learnt & corpus.has_context).sum()), len(holdout.validation), len(holdout.test))
    if not shortages.is_enough(pairs):
        counted = count_pairs(corpus) | {holdout.split: pairs}
        raise TrainingError(shortages.describe(corpus, holdout.split, counted))
    if np.count_nonzero(holdout.item_counts) < 2:
        raise TrainingError(
            "all events that training may learn from are of one item, so there is nothing to choose from; "
            "give a log of more items"
        )
    return np.flatnonzero(learnt)
