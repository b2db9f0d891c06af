"""Figures of the variants: exposure, groups of shoppers with paired intervals, and probes of what is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import probes
from benchmarks.common.ranking.tables import compare_paired
from portrait.reporting.estimates import Estimate
from portrait.reporting.fairness.audit import FairnessAudit, to_json
from portrait.reporting.fairness.exposure import compute_exposure, list_distributions
from portrait.reporting.fairness.measures import Kind, measure_ranking
from portrait.reporting.groups import MIN_GROUP_SHOPPERS, choose_shown, read_declarations
from portrait.training.enums import Demographic
from portrait.training.run.evaluation import SHOWN_POSITIONS, RankedTargets
from portrait.training.run.run import TrainedRun

_MEASURES = ("NDCG@10", "HR@10", "popular items", "unlike own categories")


def measure_exposure(variants: Mapping[str, tuple[TrainedRun, RankedTargets]]) -> dict[str, dict[str, Any]]:
    """Measure quality and exposure of each variant over all test shoppers."""
    found = {}
    for variant, (run, ranked) in variants.items():
        exposure = compute_exposure(run.corpus, ranked)
        panel = measure_ranking(run, ranked, exposure, list_distributions(exposure))
        columns = {measure.name: values for measure, values in zip(panel.measures, panel.values.T, strict=True)}
        found[variant] = {
            name: to_json(Estimate.of_mean(columns[name][np.isfinite(columns[name])])) for name in _MEASURES
        }
    return found


def describe_audit(audit: FairnessAudit, with_traits: bool) -> dict[str, Any]:
    """Describe what an audit says of NDCG@10, of the categories that are shown, and of the errors of traits.

    Args:
        audit: the audit of a variant.
        with_traits: False for one whose traits are those of another variant.
    """
    kept = {Kind.QUALITY, Kind.TRAITS} if with_traits else {Kind.QUALITY}
    described: dict[str, Any] = to_json(audit)
    for attribute in described["attributes"]:
        attribute["measures"] = [
            {"kind": each["kind"], "name": each["name"], "groups": each["groups"]}
            for each in attribute["measures"]
            if each["kind"] in kept and (each["name"] == "NDCG@10" or each["kind"] == Kind.TRAITS)
        ]
        for exposed in attribute["exposures"]:
            for group in exposed["groups"]:
                del group["differences"]
    return described


def compare_groups(
    trained: TrainedRun, ranks: NDArray[np.int64], plain: NDArray[np.int64], attributes: Sequence[Demographic]
) -> dict[str, dict[str, Any]]:
    """Compare ranks with the plain ones within each group that is shown, paired by shopper.

    Args:
        trained: the run.
        ranks: `[targets]` of the test, of the variant.
        plain: `[targets]`, of the ranking as it is.
        attributes: declared attributes.

    Returns:
        Attribute → group → the paired differences.
    """
    shoppers = trained.corpus.event_shopper[trained.holdout.test]
    found: dict[str, dict[str, Any]] = {}
    for declared in read_declarations(trained, attributes):
        part = declared.of_shopper[shoppers]
        counts = np.bincount(part[part >= 0], minlength=len(declared.names))
        found[declared.attribute.value] = {
            declared.names[group]: compare_paired(ranks[part == group], plain[part == group])
            for group in choose_shown(counts, MIN_GROUP_SHOPPERS, len(part))
        }
    return found


def probe_shown(
    trained: TrainedRun, ranked: RankedTargets, attributes: Sequence[Demographic]
) -> dict[str, dict[str, Any]]:
    """Measure how well a linear probe reads each attribute from the first ten items that are shown."""
    shoppers = trained.corpus.event_shopper[ranked.vectors.targets]
    shown = [[f"item {item}" for item in row if item >= 0] for row in ranked.items[:, :SHOWN_POSITIONS].tolist()]
    found = {}
    for declared in read_declarations(trained, attributes):
        part = declared.of_shopper[shoppers]
        large = np.flatnonzero(np.bincount(part[part >= 0], minlength=len(declared.names)) >= MIN_GROUP_SHOPPERS)
        places = np.flatnonzero(np.isin(part, large))
        found[declared.attribute.value] = probes.measure_probe(
            probes.make_tfidf, [shown[place] for place in places], part[places]
        )
    return found
