"""The fairness audit of a run: what `portrait audit-fairness` writes, and the report shows.

<run>/fairness-<split>.json   the audit

Each group is compared with all other test shoppers. Intervals are 95% bootstrap intervals over shoppers, drawn within
the groups (percentile method).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.files.atomic_write import atomic_write
from portrait.reporting.estimates import Estimate
from portrait.reporting.fairness.exposure import Distribution, compute_exposure, list_distributions
from portrait.reporting.fairness.measures import Kind, Panel, measure_ranking, measure_trait
from portrait.reporting.fairness.resampling import Strata, draw_random_groups
from portrait.reporting.groups import MIN_GROUP_SHOPPERS, Declarations, choose_shown, read_declarations
from portrait.training.enums import Demographic, Split
from portrait.training.run.evaluation import RankedTargets
from portrait.training.run.run import TrainedRun
from portrait.training.traits.artifacts import load_test_predictions

MAX_DIFFERENCES = 3
"""Categories or brands that are named for each group: those whose exposure differs most."""


@dataclass(frozen=True)
class GroupFigure:
    """A measure for one group."""

    group: str
    shoppers: int
    """Test shoppers of the group who have a value."""
    value: Estimate
    gap: Estimate | None
    """The value minus that of all other test shoppers; None if there are no others."""


@dataclass(frozen=True)
class MeasuredGroups:
    """A measure for all groups of an attribute that are large enough."""

    kind: Kind
    name: str
    meaning: str
    groups: list[GroupFigure]


@dataclass(frozen=True)
class NamedDifference:
    """Exposure of one category or brand for a group, minus that for all others."""

    name: str
    difference: Estimate


@dataclass(frozen=True)
class GroupExposure:
    """Distance between what a group and all others are shown, as total variation: 0 the same, 1 nothing in common."""

    group: str
    shoppers: int
    shown: float
    by_chance: float
    """Distance that one in twenty random groups of that size exceeds."""
    earlier: float
    """The same distance between what both had done before."""
    earlier_by_chance: float
    """Distance of the same kind that one in twenty random groups of that size exceeds."""
    differences: list[NamedDifference]


@dataclass(frozen=True)
class ExposedGroups:
    """Exposure of categories or brands for all groups of an attribute that are large enough."""

    subject: str
    groups: list[GroupExposure]


@dataclass(frozen=True)
class AttributeAudit:
    """The audit by one declared attribute."""

    attribute: str
    title: str
    left_out: int
    """Groups that are left out of the ranking's measures, so that none below the minimum shows or can be computed."""
    measures: list[MeasuredGroups]
    exposures: list[ExposedGroups]


@dataclass(frozen=True)
class FairnessAudit:
    """The whole audit."""

    split: str
    shoppers: int
    minimum_group: int
    attributes: list[AttributeAudit]
    """Those by which there is a group to show."""
    unmeasured_traits: list[str]
    """Traits that were learnt before their predictions on the test were kept."""

    @property
    def gaps(self) -> list[Estimate]:
        """All gaps of measures, of all attributes."""
        figures = (figure for each in self.attributes for measured in each.measures for figure in measured.groups)
        return [figure.gap for figure in figures if figure.gap]


def audit_fairness(trained: TrainedRun, ranked: RankedTargets, attributes: Sequence[Demographic]) -> FairnessAudit:
    """Compare groups of test shoppers by what they declared.

    Args:
        trained: the run.
        ranked: its ranking of the test, or that order changed.
        attributes: declared attributes that make the groups.

    Raises:
        TrainingError: the table of declarations, or the file of the traits' predictions, is broken.
    """
    exposure = compute_exposure(trained.corpus, ranked)
    distributions = list_distributions(exposure)
    panels = [measure_ranking(trained, ranked, exposure, distributions)]
    predictions = load_test_predictions(trained.folder) if trained.traits else {}
    panels += [measure_trait(name, of) for name, of in predictions.items()]
    merged = [each.merge_rare() for each in distributions]
    found = [_audit_attribute(each, panels, merged) for each in read_declarations(trained, attributes)]
    return FairnessAudit(
        split=trained.settings.split.value,
        shoppers=len(ranked.vectors.targets),
        minimum_group=MIN_GROUP_SHOPPERS,
        attributes=[each for each in found if each.measures],
        unmeasured_traits=[
            name for name in (trained.traits.names if trained.traits else []) if name not in predictions
        ],
    )


def _audit_attribute(declared: Declarations, panels: list[Panel], distributions: list[Distribution]) -> AttributeAudit:
    ranking = panels[0].shoppers
    counts = _count_groups(declared, ranking)
    measures = [measured for panel in panels for measured in _compare_groups(declared, panel)]
    exposures = [_compare_exposure(declared, each, ranking[each.targets]) for each in distributions]
    return AttributeAudit(
        attribute=declared.attribute.value,
        title=declared.title,
        left_out=int((counts > 0).sum()) - len(choose_shown(counts, MIN_GROUP_SHOPPERS, len(ranking))),
        measures=[each for each in measures if each.groups],
        exposures=[each for each in exposures if each.groups],
    )


def _count_groups(declared: Declarations, shoppers: NDArray[np.int64]) -> NDArray[np.int64]:
    part = declared.of_shopper[shoppers]
    return np.bincount(part[part >= 0], minlength=len(declared.names))


def _stratify(declared: Declarations, shoppers: NDArray[np.int64]) -> tuple[list[int], Strata]:
    """Choose the groups of some shoppers that are shown, and make strata of them."""
    shown = choose_shown(_count_groups(declared, shoppers), MIN_GROUP_SHOPPERS, len(shoppers))
    return shown, Strata.of_groups(declared.of_shopper[shoppers], shown)


def _compare_groups(declared: Declarations, panel: Panel) -> list[MeasuredGroups]:
    """Compare groups by each measure of a panel. A measure counts only the shoppers who have a value."""
    masks, mask_of = np.unique(np.isfinite(panel.values), axis=1, return_inverse=True)
    found: dict[int, list[GroupFigure]] = {}
    for number, known in enumerate(masks.T):
        columns = np.flatnonzero(mask_of.ravel() == number)
        compared = _compare_columns(declared, panel.shoppers[known], panel.values[np.ix_(known, columns)])
        found |= dict(zip(columns.tolist(), compared, strict=True))
    return [
        MeasuredGroups(measure.kind, measure.name, measure.meaning, found[column])
        for column, measure in enumerate(panel.measures)
    ]


def _compare_columns(
    declared: Declarations, shoppers: NDArray[np.int64], values: NDArray[np.float64]
) -> list[list[GroupFigure]]:
    """Compare groups by each column of `[shoppers, columns]`, all by the same draws."""
    shown, strata = _stratify(declared, shoppers)
    if not shown:
        return [[] for _ in values.T]
    counts = strata.sizes
    sums, drawn = strata.sum_groups(values)[None], strata.resample_sums(values)
    found: list[list[GroupFigure]] = [[] for _ in values.T]
    for stratum, group in enumerate(shown):
        means, drawn_means = (each[:, stratum] / counts[stratum] for each in (sums, drawn))
        others = counts.sum() > counts[stratum]
        gaps, drawn_gaps = (
            (_subtract_others(each, stratum, counts) for each in (sums, drawn)) if others else (means, drawn_means)
        )
        for column, figures in enumerate(found):
            value = Estimate.of_draws(means[0, column], drawn_means[:, column])
            gap = Estimate.of_draws(gaps[0, column], drawn_gaps[:, column]) if others else None
            figures.append(GroupFigure(declared.names[group], int(counts[stratum]), value, gap))
    return found


def _compare_exposure(declared: Declarations, each: Distribution, shoppers: NDArray[np.int64]) -> ExposedGroups:
    """Compare what groups are shown.

    Args:
        declared: what shoppers declared.
        each: shares of categories or brands.
        shoppers: `[rows]` of these shares, rows of the corpus.
    """
    shown, strata = _stratify(declared, shoppers)
    counts = strata.sizes
    compared = [stratum for stratum in range(len(shown)) if counts.sum() > counts[stratum]]
    if not compared:
        return ExposedGroups(each.subject, [])
    sums, earlier_sums = (strata.sum_groups(matrix)[None] for matrix in (each.shown, each.earlier))
    drawn = strata.resample_sums(each.shown)
    groups = []
    for stratum in compared:
        size = int(counts[stratum])
        difference, earlier = (_subtract_others(matrix, stratum, counts)[0] for matrix in (sums, earlier_sums))
        drawn_difference = _subtract_others(drawn, stratum, counts)
        reached = np.asarray((each.shown[strata.of_row == stratum] > 0).sum(axis=0)) >= MIN_GROUP_SHOPPERS
        named = [column for column in np.argsort(-np.abs(difference), kind="stable").tolist() if reached[column]]
        groups.append(
            GroupExposure(
                group=declared.names[shown[stratum]],
                shoppers=size,
                shown=float(_total_variation(difference)),
                by_chance=_find_chance_distance(each.shown, size),
                earlier=float(_total_variation(earlier)),
                earlier_by_chance=_find_chance_distance(each.earlier, size),
                differences=[
                    NamedDifference(
                        each.names[column], Estimate.of_draws(difference[column], drawn_difference[:, column])
                    )
                    for column in named[:MAX_DIFFERENCES]
                ],
            )
        )
    return ExposedGroups(each.subject, groups)


def _find_chance_distance(shares: sparse.csr_array, size: int) -> float:
    """Find the distance from all others that one in twenty random groups of a size exceeds."""
    return float(np.quantile(_total_variation(draw_random_groups(shares, size)), 0.95))


def _subtract_others(sums: NDArray[np.float64], stratum: int, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[draws, columns]`: mean of a stratum minus that of all others, of sums `[draws, strata, columns]`."""
    own = sums[:, stratum]
    return own / counts[stratum] - (sums.sum(axis=1) - own) / (counts.sum() - counts[stratum])


def _total_variation(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[…]`: half the sum of the absolute differences `[…, columns]` of two distributions."""
    return np.asarray(np.abs(differences).sum(axis=-1) / 2.0)


def audit_file(folder: Path, split: Split) -> Path:
    """Return the path of a run's audit by a split."""
    return folder / f"fairness-{split.value}.json"


def write_audit(audit: FairnessAudit, folder: Path) -> None:
    """Write the audit into the run's folder, as JSON."""
    with atomic_write(audit_file(folder, Split(audit.split))) as temporary:
        temporary.write_text(json.dumps(to_json(audit), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def to_json(value: Any) -> Any:
    """Convert the audit, or a part of it, to values of JSON; an estimate becomes `value` and `interval`."""
    if isinstance(value, Estimate):
        return {"value": value.value, "interval": [value.low, value.high]}
    if isinstance(value, list):
        return [to_json(each) for each in value]
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    return value
