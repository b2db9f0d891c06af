"""Learns the traits of a file as heads of a run's profile model, and measures them once."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.population.probability_distribution import ProbabilityDistribution
from portrait.training.enums import Split
from portrait.training.errors import TrainingError
from portrait.training.files import require_writable_folder
from portrait.training.prepare.reviews import TraitReview, read_trait_reviews
from portrait.training.run.run import TrainedRun
from portrait.training.traits import (
    artifacts,
    declarations,
    head_selection,
    metrics,
    samples,
)
from portrait.training.traits.artifacts import FittedTraits, TraitPredictions
from portrait.training.traits.cutoffs import Ineligible, place_cutoffs
from portrait.training.traits.declarations import MAX_DAYS, Trait
from portrait.training.traits.head_selection import FittedHead, LabelledInputs
from portrait.training.traits.heads import TraitHead, TraitHeads
from portrait.training.traits.labels import Labeller, open_labeller
from portrait.training.traits.overruled import Overruled
from portrait.training.traits.samples import HeadInputs, Samples

MIN_TRAINING_LABELS = 100
"""Positive and negative training samples, each, below which a trait is not learnt."""
MIN_HELD_OUT_LABELS = 30
"""The same for validation and test."""


def fit_traits(
    trained: TrainedRun,
    file: Path,
    complete_until: datetime | None,
    report: Callable[[str], None],
    reviews: Path | None = None,
) -> FittedTraits:
    """Learn the traits of a file as heads of a run's model; those it had before are replaced.

    Args:
        trained: a run of `--split time`: one that has not learnt from events that its traits predict.
        file: the declarations.
        complete_until: the log is complete up to here; None if up to its last event. Where shoppers leave the log
            before its end, missing events there carry no information.
        report: called with the name of each trait before it is trained.
        reviews: decisions of people; of a shopper whose trait somebody reviewed, the log is not learnt from, and a
            corrected probability is.

    Raises:
        DeclarationError: the file declares something wrong.
        TrainingError: the run was trained on another split, `complete_until` is far from its log, or `reviews` is
            malformed, or names none of its shoppers.
    """
    if trained.settings.split is not Split.TIME:
        raise TrainingError(
            f"{trained.folder} was trained with --split {trained.settings.split}, so it has learnt from events that "
            "its traits would predict; train with --split time"
        )
    declared = declarations.read_declarations(file)
    _require_within_log(trained, complete_until)
    require_writable_folder(trained.folder)
    overruled = _find_overruled(trained, reviews) if reviews else {}
    lookup = _HeadInputCache(trained)
    entries: list[dict[str, Any]] = []
    fitted_heads: list[TraitHead] = []
    predictions: dict[str, TraitPredictions] = {}
    with open_labeller(Path(trained.data["path"]), trained.corpus.shopper_ids, declared) as labels:
        for trait in declared.traits:
            report(trait.name)
            try:
                fitted, measured, predicted = _fit_trait(
                    trained, complete_until, trait, labels, lookup, overruled.get(trait.name)
                )
            except Ineligible as reason:
                entries.append(_describe_trait(trait) | {"absent": str(reason)})
                continue
            entries.append(_describe_trait(trait) | {"absent": None} | measured)
            fitted_heads.append(fitted.head)
            predictions[trait.name] = predicted
    traits = FittedTraits(entries, TraitHeads(fitted_heads).eval() if fitted_heads else None)
    artifacts.save_traits(traits, trained.folder, trained.settings.dimension, predictions)
    return traits


def _find_overruled(trained: TrainedRun, reviews: Path) -> dict[str, Overruled]:
    """Find the shoppers of whom each trait was overruled; traits that nobody overruled have no entry."""
    row_of = {shopper_id: row for row, shopper_id in enumerate(trained.corpus.shopper_ids)}
    read = read_trait_reviews(reviews)
    by_trait: dict[str, list[tuple[int, TraitReview]]] = {}
    for each in read:
        if each.shopper_id in row_of:
            by_trait.setdefault(each.trait, []).append((row_of[each.shopper_id], each))
    if read and not by_trait:
        raise TrainingError(f"{reviews} names no shopper of the data set; a pseudonymised one has other ids")
    return {trait: _make_overruled(sorted(rows)) for trait, rows in by_trait.items()}


def _make_overruled(rows: list[tuple[int, TraitReview]]) -> Overruled:
    corrected = [np.nan if each.corrected is None else each.corrected for _, each in rows]
    return Overruled(
        np.array([row for row, _ in rows], dtype=np.int64),
        np.array([each.reviewed_at for _, each in rows]),
        np.array(corrected, dtype=np.float32),
    )


def _require_within_log(trained: TrainedRun, complete_until: datetime | None) -> None:
    time = trained.corpus.columns.time
    if complete_until is None or np.isnan(time).any():
        return
    first, last = float(time.min()), float(time.max()) + MAX_DAYS * SECONDS_PER_DAY
    if not first <= complete_until.timestamp() <= last:
        raise TrainingError(
            f"--complete-until must be from {_format_day(first)}, the log's first event, to {_format_day(last)}, "
            f"{MAX_DAYS} days after its last, not {complete_until:%Y-%m-%d}"
        )


class _HeadInputCache:
    """Cache of head inputs by cutoff; traits of one horizon share their cutoffs."""

    def __init__(self, trained: TrainedRun) -> None:
        self._trained = trained
        self._at: dict[float, tuple[NDArray[np.int64], HeadInputs]] = {}

    def of(self, drawn: Samples) -> HeadInputs:
        """Return the inputs of samples that are sorted by cutoff, then by shopper."""
        found = [self._of(moment, drawn.shopper[drawn.as_of == moment]) for moment in np.unique(drawn.as_of).tolist()]
        return HeadInputs(
            np.concatenate([known.profile for known in found]), np.concatenate([known.statistics for known in found])
        )

    def _of(self, moment: float, shopper: NDArray[np.int64]) -> HeadInputs:
        held = self._at.get(moment)
        if held is None or not np.isin(shopper, held[0]).all():
            run = self._trained
            as_of = np.full(len(shopper), moment)
            held = (shopper, samples.compute_head_inputs(run.model, run.cache, run.corpus, shopper, as_of))
            self._at[moment] = held
        rows = np.searchsorted(held[0], shopper)
        return HeadInputs(held[1].profile[rows], held[1].statistics[rows])


def _fit_trait(
    trained: TrainedRun,
    complete_until: datetime | None,
    trait: Trait,
    labels: Labeller,
    lookup: _HeadInputCache,
    overruled: Overruled | None,
) -> tuple[FittedHead, dict[str, Any], TraitPredictions]:
    """Fit the best head of a trait by validation, and measure it on the test, which is read only here.

    The log of shoppers of whom it was overruled is used in the test alone. Corrections are labels of training alone:
    head, calibration and baseline are chosen and measured by what came true.
    """
    time = trained.corpus.columns.time
    if np.isnan(time).any():
        raise Ineligible("the log has events without a time")
    end = complete_until.timestamp() if complete_until else float(time.max())
    moments = place_cutoffs(
        float(time.min()), float(time[trained.holdout.train].max()), end, trait.horizon_days, trait.window_days
    )
    drawn = {
        name: samples.draw_samples(labels, trait, getattr(moments, name)) for name in ("train", "validation", "test")
    }
    learnt, corrected = drawn["train"], None
    if overruled is not None:
        learnt, corrected = overruled.correct(learnt, trait)
        drawn |= {name: overruled.leave_out(drawn[name]) for name in ("train", "validation")}
    for name, part in drawn.items():
        _require_enough(name, part.label)
    train = LabelledInputs(lookup.of(learnt), learnt.label, corrected)
    validation, test = (LabelledInputs(lookup.of(drawn[name]), drawn[name].label) for name in ("validation", "test"))
    seed = trained.settings.seed
    fitted = head_selection.fit_heads(train, validation, trained.settings.dimension, seed)
    baseline = head_selection.fit_rfm_baseline(train, validation, seed)
    ours, others = (head_selection.predict_probabilities(each.head, test.known) for each in (fitted[0], baseline))
    who = drawn["test"].shopper
    measured = {
        "samples": {name: _describe_samples(part, trait) for name, part in drawn.items()},
        "corrected": len(learnt) - len(drawn["train"]),
        "head": dataclasses.asdict(fitted[0].head.shape) | {"regularisation": fitted[0].regularisation},
        "calibration": {
            "method": "platt",
            "slope": float(fitted[0].head.get_buffer("slope")),
            "offset": float(fitted[0].head.get_buffer("offset")),
        },
        "validation": [
            dataclasses.asdict(each.head.shape) | {"regularisation": each.regularisation, "log_loss": each.log_loss}
            for each in fitted
        ],
        "test": metrics.summarise(ours, test.label, who),
        "rfm": metrics.summarise(others, test.label, who),
        "auc_above_rfm": metrics.auc_difference(ours, others, test.label, who),
        "tested_until": _format_time(drawn["test"].as_of.max() + trait.horizon_days * SECONDS_PER_DAY),
        "distribution": ProbabilityDistribution.measure(ours).to_json(),
        "reliability": [dataclasses.asdict(point) for point in metrics.reliability_points(ours, test.label)],
    }
    return fitted[0], measured, TraitPredictions(who, test.label, ours)


def _require_enough(name: str, label: NDArray[np.bool_]) -> None:
    least = MIN_TRAINING_LABELS if name == "train" else MIN_HELD_OUT_LABELS
    positives = int(label.sum())
    for kind, count in (("positives", positives), ("negatives", len(label) - positives)):
        if count < least:
            raise Ineligible(f"too few {kind}: {count} of {len(label)} {name} samples, at least {least} are needed")


def _describe_samples(part: Samples, trait: Trait) -> dict[str, int | str]:
    return {
        "moments": len(np.unique(part.as_of)),
        "samples": len(part),
        "positives": int(part.label.sum()),
        "first": _format_day(part.as_of.min()),
        "last": _format_day(part.as_of.max() + trait.horizon_days * SECONDS_PER_DAY),
    }


def _describe_trait(trait: Trait) -> dict[str, Any]:
    return {
        "name": trait.name,
        "description": trait.description,
        "horizon_days": trait.horizon_days,
        "window_days": trait.window_days,
    }


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _format_day(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s").astype("datetime64[D]"))
