"""All figures of the report as values, gathered from a run that has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from portrait.reporting import comparisons, examples, findings, slices, traits
from portrait.reporting import results as benchmarks
from portrait.reporting.comparisons import Comparison
from portrait.reporting.estimates import Estimate, ReliabilityPoint
from portrait.reporting.examples import Example
from portrait.reporting.fairness.audit import FairnessAudit, audit_fairness, write_audit
from portrait.reporting.findings import Finding
from portrait.reporting.results import DataSet
from portrait.reporting.slices import Slice, Slicing
from portrait.reporting.traits import AbsentTrait, Trait
from portrait.training import metrics
from portrait.training.baselines.registry import POPULARITY
from portrait.training.enums import Demographic
from portrait.training.metrics import ReliabilityBin
from portrait.training.run import evaluation
from portrait.training.run import run as runs
from portrait.training.run.baselines import rank_with_tuned_baselines
from portrait.training.run.evaluation import Predictions, RankedTargets
from portrait.training.run.folder import TRAIN_ONLY_FOLDER
from portrait.training.run.run import TrainedRun

_GAIN_POINTS = 80
_GAIN_TABLE = (1, 5, 10, 20, 50, 100)
"""Numbers of items shown to each shopper."""


@dataclass(frozen=True)
class Model:
    """The model and its training."""

    base_model: str
    tuning: str
    preset: str
    dimension: int
    subspaces: int
    parameters: int
    split: str
    refit: bool
    seed: int
    trained_at: datetime
    minutes: float | None
    """Minutes of the encoders' training; None if the run kept no scalars."""
    unlearning: dict[str, Any] | None
    """Record of `portrait unlearn`; None of a run that was trained from the start."""


@dataclass(frozen=True)
class Data:
    """The data set of the run. A count is None if the data set's report does not state it."""

    source: str
    read: int | None
    kept: int | None
    merged: int | None
    rejected: dict[str, int]
    events_by_type: dict[str, int]
    shoppers: int
    items: int
    first_day: str | None
    last_day: str | None
    missing: dict[str, float]
    """Share of the events without a value, by column; only searches have no item."""


@dataclass(frozen=True)
class MetricPair:
    """One metric of Portrait and of the popularity baseline."""

    name: str
    ours: Estimate
    popularity: Estimate


@dataclass(frozen=True)
class Ranking:
    """Quality of the ranking on the test of one split."""

    split: str
    shoppers: int
    items: int
    seen_items: str
    """`masked` or `ranked`."""
    measures: dict[str, MetricPair]
    baselines: Comparison
    """Portrait and all baselines."""


@dataclass(frozen=True)
class GainPoint:
    """A point of the cumulative gain: what is found if the most probable pairs of shopper and item are shown."""

    shown: float
    """Items shown, on average over shoppers."""
    ours: float
    """Share of the next items among them."""
    popularity: float
    """The same share if the most popular items are shown."""
    random: float
    """The same share for a random choice."""


@dataclass(frozen=True)
class ProbabilityQuality:
    """Quality of the predicted probabilities of one kind."""

    kind: str
    """`click` or `purchase`."""
    positives: int
    auc: float
    log_loss: float
    calibration_error: float
    first_calibration_error: float
    """Calibration error of the first positions alone."""
    reliability: list[ReliabilityPoint]
    by_position: list[ReliabilityPoint]
    """Reliability at each of the first positions."""
    curve: list[GainPoint]
    table: list[GainPoint]


@dataclass(frozen=True)
class Figures:
    """The whole report."""

    written_at: datetime
    model: Model
    data: Data
    ranking: Ranking
    """On the test of the run's own split."""
    other_rankings: list[Ranking]
    """On the tests of other splits, by second runs that were trained on these (`evaluation.load_run_for_split`)."""
    comparisons: list[Comparison]
    findings: list[Finding]
    """Results of all benchmarks that are not in `comparisons`."""
    chances: list[ProbabilityQuality]
    """One entry per kind that occurs in the test."""
    only_purchases: bool
    """True if every event of the test is a purchase, so that both kinds of probabilities mean the same."""
    traits: list[Trait]
    absent_traits: list[AbsentTrait]
    slices: list[Slicing]
    groups: list[Slicing]
    fairness: FairnessAudit
    """Comparison of groups in all else than hit rates."""
    examples: list[Example]

    @property
    def weakest(self) -> tuple[str, Slice] | None:
        """Title of the slicing and slice with the lowest hit rate; None if there are no slices."""
        titled = [(slicing.title, each) for slicing in self.slices for each in slicing.slices]
        return min(titled, key=lambda pair: pair[1].ours.value, default=None)

    @property
    def has_purchases(self) -> bool:
        """True if the test has purchases, so that their probabilities could be checked."""
        return any(chances.kind == "purchase" for chances in self.chances)

    @property
    def clear_groups(self) -> int:
        """Number of groups whose difference from all other shoppers has an interval that excludes 0."""
        return sum(
            bool(each.against_others and each.against_others.is_clear) for cut in self.groups for each in cut.slices
        )


def gather_figures(trained: TrainedRun, results: Sequence[Path]) -> Figures:
    """Rank the test and gather all figures; write metrics and audit to the run's folder.

    Args:
        trained: the run.
        results: JSON files or folders that the benchmarks wrote.

    Raises:
        TrainingError: a result can't be read or is of another data set.
    """
    source = trained.data["report"].get("source", "unknown")
    given = benchmarks.read_results(results, DataSet(source, len(trained.holdout.test), len(trained.corpus.items)))
    compared = {result.path: comparisons.read_comparisons(result) for result in given}
    ranked = evaluation.rank_test_targets(trained)
    baselines = rank_with_tuned_baselines(trained, ranked.vectors.targets)
    measured = evaluation.compute_metrics(trained, ranked, baselines)
    evaluation.write_metrics(measured, trained.folder)
    hits = metrics.hit_rate(evaluation.find_portrait_ranks(trained, ranked), 10)
    fairness = audit_fairness(trained, ranked, list(Demographic))
    write_audit(fairness, trained.folder)
    learnt, absent = traits.collect_traits(trained.traits)
    popular_hits = metrics.hit_rate(baselines.ranks[POPULARITY], 10)
    return Figures(
        written_at=datetime.now(UTC),
        model=_describe_model(trained),
        data=_describe_data(trained),
        ranking=_read_ranking(measured),
        other_rankings=[
            _read_ranking(other)
            for other in evaluation.read_metrics(trained.folder)
            if other["split"] != measured["split"]
        ],
        comparisons=[table for tables in compared.values() for table in tables],
        findings=[findings.read_finding(result.markdown) for result in given if not compared[result.path]],
        chances=_assess_probabilities(trained, ranked, measured["probabilities"]),
        only_purchases=bool(ranked.chosen.bought.all()),
        traits=learnt,
        absent_traits=absent,
        slices=slices.slice_by_behaviour(trained, ranked, hits, popular_hits),
        groups=slices.slice_by_declaration(trained, ranked, hits, popular_hits),
        fairness=fairness,
        examples=examples.draw_examples(trained, ranked),
    )


def _describe_model(trained: TrainedRun) -> Model:
    settings = trained.settings
    trained_at, minutes = _training_time(trained.folder)
    return Model(
        base_model=Path(settings.base_model).name,
        tuning=settings.finetune.value,
        preset=settings.preset.value,
        dimension=settings.dimension,
        subspaces=settings.subspaces,
        parameters=sum(weights.numel() for part in (trained.model, trained.ranker) for weights in part.parameters()),
        split=settings.split.value,
        refit=settings.refit,
        seed=settings.seed,
        trained_at=trained_at,
        minutes=minutes,
        unlearning=trained.unlearning,
    )


def _training_time(folder: Path) -> tuple[datetime, float | None]:
    """Return the end of training, and its minutes by the times of the scalars, without pauses before a resume."""
    spans = []
    for part in (folder, folder / TRAIN_ONLY_FOLDER):
        for file in (part / "tensorboard").rglob("events.out.tfevents.*"):
            times = [event.wall_time for event in EventFileLoader(str(file)).Load()]
            if times:
                spans.append((min(times), max(times)))
    if not spans:
        return datetime.fromtimestamp((folder / runs.MODEL_FILE).stat().st_mtime, UTC), None
    return datetime.fromtimestamp(max(end for _, end in spans), UTC), sum(end - begin for begin, end in spans) / 60.0


def _describe_data(trained: TrainedRun) -> Data:
    report = trained.data["report"]
    kept = report.get("kept")
    first, last = report.get("first_time"), report.get("last_time")
    return Data(
        source=report.get("source", "unknown"),
        read=report.get("read"),
        kept=kept,
        merged=report.get("merged"),
        rejected=report.get("rejected", {}),
        events_by_type=report.get("events_by_type", {}),
        shoppers=len(trained.corpus.shopper_ids),
        items=len(trained.corpus.items),
        first_day=first and first[:10],
        last_day=last and last[:10],
        missing={name: min(1.0, count / kept) for name, count in report.get("missing", {}).items() if name != "item_id"}
        if kept
        else {},
    )


def _read_ranking(measured: dict[str, Any]) -> Ranking:
    ours, popularity = measured["ranking"]["portrait"], measured["ranking"][POPULARITY]
    return Ranking(
        split=measured["split"],
        shoppers=measured["shoppers"],
        items=measured["items"],
        seen_items=measured["seen_items"],
        measures={
            name: MetricPair(name, Estimate.from_json(row), Estimate.from_json(popularity[name]))
            for name, row in ours.items()
        },
        baselines=comparisons.compare_baselines(measured),
    )


def _assess_probabilities(
    trained: TrainedRun, ranked: RankedTargets, measured: dict[str, dict[str, float]]
) -> list[ProbabilityQuality]:
    predictions = evaluation.collect_predictions(trained, ranked)
    popularity = predictions["popularity"].chances
    items = len(trained.corpus.items)
    return [
        ProbabilityQuality(
            kind=kind,
            positives=int(predictions[kind].labels.sum()),
            auc=measured[kind]["auc"],
            log_loss=measured[kind]["log_loss"],
            calibration_error=measured[kind]["calibration_error"],
            first_calibration_error=measured[kind]["calibration_error_of_first_10"],
            reliability=_compute_reliability(predictions[kind]),
            by_position=_compute_reliability_by_position(predictions[kind]),
            curve=_compute_gain(predictions[kind], popularity, items, np.geomspace(1.0, items, _GAIN_POINTS)),
            table=_compute_gain(
                predictions[kind], popularity, items, np.array([float(count) for count in _GAIN_TABLE if count < items])
            ),
        )
        for kind in ("click", "purchase")
        if predictions[kind].labels.any()
    ]


def _compute_reliability(predictions: Predictions) -> list[ReliabilityPoint]:
    """Compute the reliability curve."""
    bins = metrics.reliability_bins(predictions.chances, predictions.labels, predictions.weights)
    return [_make_reliability_point(each) for each in bins]


def _compute_reliability_by_position(predictions: Predictions) -> list[ReliabilityPoint]:
    """Compute the reliability at each of the first positions that some ranking has."""
    parts = (predictions.at(position, position + 1) for position in range(evaluation.SHOWN_POSITIONS))
    return [
        _make_reliability_point(
            ReliabilityBin(part.weights.sum(), (part.chances * part.weights).sum(), part.labels.sum())
        )
        for part in parts
        if len(part.labels)
    ]


def _make_reliability_point(each: ReliabilityBin) -> ReliabilityPoint:
    """Describe a group of pairs, with the exact Poisson interval of its count (Garwood 1936)."""
    low, high = chi2.ppf([0.025, 0.975], [2 * each.observed, 2 * each.observed + 2]) / 2
    rate = Estimate(each.observed / each.weight, float(np.nan_to_num(low)) / each.weight, float(high) / each.weight)
    return ReliabilityPoint(each.expected / each.weight, rate, each.observed)


def _compute_gain(
    predictions: Predictions, popularity: NDArray[np.float64], items: int, shown: NDArray[np.float64]
) -> list[GainPoint]:
    shares = shown / items
    ours, popular = (
        metrics.cumulative_gain(scores, predictions.labels, predictions.weights, shares)
        for scores in (predictions.chances, popularity)
    )
    return [GainPoint(*row) for row in np.stack([shown, ours, popular, shares], axis=1).tolist()]
