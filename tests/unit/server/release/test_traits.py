"""Traits of a shopper: a probability, or why there is none."""

import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
from support import tiny_release

from portrait.features.events import Event, EventType
from portrait.features.population.probability_distribution import ProbabilityDistribution
from portrait.features.release.manifest import Manifest
from portrait.server.release.traits import MODELS_AWAY, declared, values

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HISTORY = [Event("e", EventType.VIEW, NOW - timedelta(days=1), "i")]


def manifest() -> Manifest:
    return Manifest(1, "", "", 1, 1, [], [], {}, traits=tiny_release.TRAITS)


def test_probabilities_belong_to_those_that_are_learnt() -> None:
    found = values(declared(manifest()), np.array([0.25, 0.75], dtype=np.float32), HISTORY, NOW)
    assert [value.probability for value in found] == [0.25, None, 0.75]
    assert [value.absent for value in found] == ["", "too few", ""]
    assert (found[0].trait.auc, found[1].trait.auc) == (0.75, None)


def test_a_trait_has_its_distribution_if_its_version_kept_one() -> None:
    first, *others = tiny_release.TRAITS
    content = {"edges": [0.5], "counts": [3, 4]}
    made = dataclasses.replace(manifest(), traits=[{**first, "distribution": content}, *others])
    kept, *rest = (each.distribution for each in declared(made))
    assert kept == ProbabilityDistribution((0.5,), (3, 4))
    assert rest == [None, None]


def test_without_models_all_are_absent() -> None:
    found = values(declared(manifest()), None, HISTORY, NOW)
    assert [value.absent for value in found] == [MODELS_AWAY, "too few", MODELS_AWAY]


def test_nobody_has_none() -> None:
    found = values(declared(manifest()), None, [], NOW)
    assert found[0].absent == "no event in the 90 days before"
