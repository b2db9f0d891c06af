"""Evaluation of a run against simple baselines: full ranking, probabilities and their calibration."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from portrait.features.candidates.probabilities import limit_total
from portrait.features.files.atomic_write import atomic_write
from portrait.features.files.path_names import utf8_path
from portrait.training import metrics, tracking
from portrait.training.baselines import comparison
from portrait.training.baselines.comparison import BaselineRanks
from portrait.training.dataset.corpus import Corpus
from portrait.training.devices import CPU
from portrait.training.encoders.retrieval import TargetVectors, embed_texts, encode_targets, find_ranks
from portrait.training.enums import Split
from portrait.training.files import read_json_object, require_writable_file, require_writable_folder
from portrait.training.ranker import ranking
from portrait.training.ranker.candidates import CandidateBuilder, Candidates
from portrait.training.ranker.model import compute_next_probability
from portrait.training.run import run as runs
from portrait.training.run.baselines import SETTINGS_KEY, rank_with_tuned_baselines
from portrait.training.run.candidate_metrics import measure_candidates
from portrait.training.run.folder import SETTINGS_FILE, metrics_file
from portrait.training.run.run import TrainedRun

DUMPED_ITEMS = 100
SHOWN_POSITIONS = 10
"""First positions of a ranking, whose calibration is measured on its own."""
_PROBABILITY_METRICS = (
    "auc", "log_loss", "calibration_error", "calibration_error_of_first_10", "calibration_error_of_first_10_by_chance",
)  # fmt: skip


@dataclass(frozen=True)
class RankedTargets:
    """The ranked catalogue of each test target, best first."""

    vectors: TargetVectors
    chosen: Candidates
    items: NDArray[np.int64]
    """`[targets, places]`, -1 where nothing is left."""
    scores: NDArray[np.float32]
    """`[targets, places]`."""
    click: NDArray[np.float64]
    """`[targets, candidates]`: chance that the candidate is acted on next."""
    purchase: NDArray[np.float64]
    """`[targets, candidates]`: chance that it is bought next."""
    positions: NDArray[np.int64]
    """`[targets, candidates]`: 0-based place in the ranking, -1 of one that is not ranked."""


def load_run_for_split(folder: Path, split: Split | None, device: torch.device) -> TrainedRun:
    """Load the run to evaluate by a split (None: its own): itself, or a second run trained on that split.

    A model that was trained on one split has learnt from events that the other one holds out. The second run is trained
    once, with the same settings, in `<run>/<split>/`.
    """
    trained = runs.load_run(folder, device)
    if split in (None, trained.settings.split):
        return trained
    twin = folder / split.value
    if not (twin / runs.MODEL_FILE).exists():
        settings = dataclasses.replace(trained.settings, split=split)
        runs.train_run(Path(trained.data["path"]), twin, settings, (twin / SETTINGS_FILE).exists(), device=device)
    return runs.load_run(twin, device)


def rank_test_targets(trained: TrainedRun) -> RankedTargets:
    """Rank the catalogue for every test target as serving does."""
    return rank_targets(trained, trained.corpus, trained.holdout.test)


def make_candidate_builder(
    trained: TrainedRun, corpus: Corpus, kind: type[CandidateBuilder] = CandidateBuilder
) -> CandidateBuilder:
    """Make what finds the candidates of a run's targets.

    Args:
        trained: the run.
        corpus: the run's own, or other histories of its items and texts.
        kind: its class.
    """
    # Leave-one-out holds out events of all times: what is popular of late is read as of each of them, as a release of
    # that day would. By time, all targets are later than the release.
    of_all_times = trained.settings.split is Split.LOO and corpus is trained.corpus
    learnt = trained.holdout.learnt(corpus) if of_all_times else None
    searches_alone = not bool(trained.ranker.searches_read_past)
    read = dataclasses.replace(corpus, searches_alone=True) if searches_alone else corpus
    return kind(read, trained.holdout, trained.index, trained.relations, learnt)


def rank_targets(trained: TrainedRun, corpus: Corpus, targets: NDArray[np.int64]) -> RankedTargets:
    """Rank the catalogue for some targets as serving does: retrieve, then order by the ranker.

    Args:
        trained: the run.
        corpus: the run's own, or other histories of its items and texts.
        targets: events of the corpus to predict, ascending.
    """
    texts = embed_texts(trained.model, trained.cache)
    builder = make_candidate_builder(trained, corpus)
    vectors = encode_targets(trained.model, trained.cache, builder.corpus, targets, trained.index.vectors)
    chosen = builder.build(vectors, texts.numpy(), np.random.default_rng(trained.settings.seed))
    scores = np.full(chosen.items.shape, -np.inf, dtype=np.float32)
    chances = np.zeros((*chosen.items.shape, 2))
    with torch.no_grad():
        for rows in np.array_split(np.arange(len(scores)), max(1, len(scores) // 512)):
            score, told = ranking.run_ranker(trained.ranker, vectors, chosen, texts, rows)
            likely = compute_next_probability(told)
            scores[rows] = score.numpy()
            chances[rows] = torch.stack([likely, likely * torch.sigmoid(told[..., 1])], -1).numpy()
    totals = (chances[..., 0] * chosen.shown).sum(1)
    click, purchase = (limit_total(chances[..., column], totals) for column in range(2))
    scores[~chosen.shown] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :DUMPED_ITEMS]
    positions = np.full(chosen.items.shape, -1)
    np.put_along_axis(positions, order, np.arange(order.shape[1])[None], 1)
    positions[~chosen.shown] = -1
    scores = np.take_along_axis(scores, order, 1)
    items = np.where(np.isfinite(scores), np.take_along_axis(chosen.items, order, 1), -1)
    return RankedTargets(vectors, chosen, items, scores, click, purchase, positions)


def find_portrait_ranks(trained: TrainedRun, ranked: RankedTargets) -> NDArray[np.int64]:
    """`[targets]`: 0-based rank of each target's item, `MISSED` where it is not among the ranked items."""
    return find_ranks(ranked.items, trained.corpus.event_item[ranked.vectors.targets])


def compute_metrics(trained: TrainedRun, ranked: RankedTargets, baselines: BaselineRanks) -> dict[str, Any]:
    """Metrics of a run on its test targets, beside those of the baselines under the same protocol.

    Args:
        trained: the run.
        ranked: its ranking of the test targets.
        baselines: ranks of the same targets.
    """
    ours = find_portrait_ranks(trained, ranked)
    return {
        "split": trained.settings.split.value,
        "shoppers": len(ours),
        "items": len(trained.corpus.items),
        "seen_items": "masked" if trained.holdout.mask_seen else "ranked",
        "ranking": comparison.measure_rankings(ours, baselines),
        SETTINGS_KEY: baselines.settings,
        "candidates": measure_candidates(ranked.chosen, ranked.positions),
        "probabilities": {
            name: _probability_metrics(predictions)
            for name, predictions in collect_predictions(trained, ranked).items()
        },
    }


@dataclass(frozen=True)
class Predictions:
    """Chances of one kind, and what came true; a pair is a test target and a candidate."""

    chances: NDArray[np.float64]
    """`[pairs]`."""
    labels: NDArray[np.bool_]
    """`[pairs]`: whether it came true."""
    weights: NDArray[np.float64]
    """`[pairs]`: how many items of the catalogue the candidate stands for."""
    positions: NDArray[np.int64]
    """`[pairs]`: 0-based place in the ranking, -1 of a candidate that is not ranked."""
    targets: NDArray[np.int64]
    """`[pairs]`: row of the test target."""

    def at(self, first: int, end: int) -> "Predictions":
        """Select the pairs at some positions."""
        chosen = (self.positions >= first) & (self.positions < end)
        return Predictions(
            self.chances[chosen],
            self.labels[chosen],
            self.weights[chosen],
            self.positions[chosen],
            self.targets[chosen],
        )


def collect_predictions(trained: TrainedRun, ranked: RankedTargets) -> dict[str, Predictions]:
    """The chances `click` and `purchase`, and those of `popularity` to be acted on; the pairs are the same in all."""
    chosen = ranked.chosen
    real = chosen.weight > 0
    kinds = {
        "click": (ranked.click, chosen.label),
        "purchase": (ranked.purchase, chosen.label & chosen.bought[:, None]),
        "popularity": (_popularity_probabilities(trained, ranked), chosen.label),
    }
    weights, positions, targets = chosen.weight[real].astype(np.float64), ranked.positions[real], np.nonzero(real)[0]
    return {
        name: Predictions(chances[real], labels[real], weights, positions, targets)
        for name, (chances, labels) in kinds.items()
    }


def _probability_metrics(predictions: Predictions) -> dict[str, float | None]:
    arguments = (predictions.chances, predictions.labels, predictions.weights)
    first = predictions.at(0, SHOWN_POSITIONS)
    if not predictions.labels.any():
        return dict.fromkeys(_PROBABILITY_METRICS)
    measured = (
        metrics.auc(*arguments),
        metrics.log_loss(*arguments),
        metrics.calibration_error(*arguments),
        metrics.calibration_error(first.chances, first.labels, first.weights),
        metrics.calibration_error_by_chance(first.chances, first.weights),
    )
    return dict(zip(_PROBABILITY_METRICS, measured, strict=True))


def _popularity_probabilities(trained: TrainedRun, ranked: RankedTargets) -> NDArray[np.float64]:
    """Chance of each candidate by its share of the training events, with one event added to every item."""
    counts = trained.holdout.item_counts + 1.0
    chances: NDArray[np.float64] = (counts / counts.sum())[ranked.chosen.items]
    return chances


def write_rankings(trained: TrainedRun, ranked: RankedTargets, path: Path) -> None:
    """Write the top of every test shopper: `shopper_id, position, item_id, score`; position 1 is the best."""
    corpus = trained.corpus
    shoppers = corpus.event_shopper[ranked.vectors.targets]
    row, place = np.nonzero(ranked.items >= 0)
    table = pl.DataFrame(
        {
            "shopper_id": np.array(corpus.shopper_ids, dtype=object)[shoppers[row]].tolist(),
            "position": (place + 1).astype(np.int32),
            "item_id": np.array(corpus.item_ids, dtype=object)[ranked.items[row, place]].tolist(),
            "score": ranked.scores[row, place],
        }
    )
    with atomic_write(path) as temporary:
        table.write_parquet(utf8_path(temporary))


def write_metrics(measured: dict[str, Any], folder: Path) -> None:
    """Write what `compute_metrics` found into the run's folder."""
    with atomic_write(metrics_file(folder, Split(measured["split"]))) as temporary:
        temporary.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Read the metrics that `write_metrics` wrote into a run's folder, one entry a split."""
    found = (metrics_file(folder, split) for split in Split)
    return [read_json_object(path) for path in found if path.exists()]


def evaluate_run(folder: Path, split: Split | None, dump_to: Path | None, device: torch.device = CPU) -> dict[str, Any]:
    """Measure a run by a split (its own by default), keep the metrics in its folder, and dump its rankings.

    The encoders run on the device.

    Raises:
        TrainingError: the run has not ended, its data set changed, or nothing can be written where it must.
    """
    if dump_to:
        require_writable_file(dump_to)
    trained = load_run_for_split(folder, split, device)
    require_writable_folder(folder)
    ranked = rank_test_targets(trained)
    baselines = rank_with_tuned_baselines(trained, ranked.vectors.targets)
    measured = compute_metrics(trained, ranked, baselines)
    write_metrics(measured, folder)
    values = {f"test/{name}": row["value"] for name, row in measured["ranking"]["portrait"].items()}
    tracking.log_final_metrics(trained.folder, trained.settings, values)
    if dump_to:
        write_rankings(trained, ranked, dump_to)
    return measured
