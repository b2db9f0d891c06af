"""Heads: fitted, chosen, calibrated."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from portrait.features.histories.statistics import STATISTICS
from portrait.training import metrics
from portrait.training.traits import head_selection
from portrait.training.traits import metrics as measures
from portrait.training.traits.head_selection import LabelledInputs
from portrait.training.traits.heads import HeadShape, TraitHead, TraitHeads
from portrait.training.traits.samples import HeadInputs

pytestmark = pytest.mark.slow

DIMENSION = 8


def part(count: int, seed: int, by_profile: bool) -> tuple[LabelledInputs, NDArray[np.float64]]:
    """Samples whose logit is a line through one number: of the profile, or of a statistic."""
    random = np.random.default_rng(seed)
    profile = random.normal(size=(count, DIMENSION)).astype(np.float32)
    statistics = random.normal(size=(count, len(STATISTICS))).astype(np.float32)
    chance = 1 / (1 + np.exp(1.0 - 2.0 * (profile if by_profile else statistics)[:, 3]))
    return LabelledInputs(HeadInputs(profile, statistics), random.random(count) < chance), chance


@pytest.mark.parametrize("by_profile", [True, False])
def test_finds_the_chances(by_profile: bool) -> None:
    train, validation = part(4000, 0, by_profile)[0], part(2000, 1, by_profile)[0]
    test, chance = part(2000, 2, by_profile)
    best = head_selection.fit_heads(train, validation, DIMENSION, seed=0)[0]
    assert best.head.shape.profile or not by_profile
    found = head_selection.predict_probabilities(best.head, test.known)
    assert np.abs(found - chance).mean() < 0.03
    assert measures.calibration_error(found, test.label, np.ones(len(found))) < 0.04


def test_the_baseline_reads_no_profile() -> None:
    train, validation = part(2000, 0, True)[0], part(1000, 1, True)[0]
    found = head_selection.predict_probabilities(
        head_selection.fit_rfm_baseline(train, validation, 0).head, validation.known
    )
    assert metrics.auc(found, validation.label, np.ones(len(found))) < 0.56


def test_calibration_follows_the_labels_of_validation() -> None:
    train = part(3000, 0, False)[0]
    scarce = part(3000, 1, False)[0]
    # Half of the positives do not come true any more.
    fewer = LabelledInputs(scarce.known, scarce.label & (np.random.default_rng(2).random(len(scarce.label)) < 0.5))
    found = head_selection.predict_probabilities(
        head_selection.fit_heads(train, fewer, DIMENSION, 0)[0].head, fewer.known
    )
    assert found.mean() == pytest.approx(fewer.label.mean(), abs=0.01)


def test_a_corrected_label_is_learnt_in_place_of_the_log() -> None:
    train, validation = part(1000, 0, False)[0], part(500, 1, False)[0]
    shape, columns = HeadShape(False, 0), range(len(STATISTICS))
    expected = head_selection.fit_linear_head(columns, train, validation, 0)
    corrected = np.where(train.label, np.float32(1), np.float32("nan"))
    opposite = LabelledInputs(train.known, np.zeros_like(train.label), corrected)
    found = head_selection.fit_linear_head(columns, opposite, validation, 0)
    assert found.head.shape == shape
    for name, value in expected.head.state_dict().items():
        np.testing.assert_array_equal(found.head.state_dict()[name], value)
    halves = LabelledInputs(train.known, train.label, np.full(len(train.label), 0.5, dtype=np.float32))
    unsure = head_selection.fit_linear_head(columns, halves, validation, 0).head
    with torch.no_grad():
        raw = unsure.raw(unsure.inputs(*map(torch.from_numpy, (train.known.profile, train.known.statistics))))
    np.testing.assert_allclose(raw, 0.0, atol=1e-3)


def test_heads_are_one_graph() -> None:
    shapes = (HeadShape(False, 0), HeadShape(True, 4))
    made = [TraitHead(DIMENSION, range(len(STATISTICS)), shape) for shape in shapes]
    known = part(5, 0, True)[0].known
    found = TraitHeads(made)(torch.from_numpy(known.profile), torch.from_numpy(known.statistics)).detach().numpy()
    assert found.shape == (5, 2)
    np.testing.assert_allclose(found[:, 1], head_selection.predict_probabilities(made[1], known), atol=1e-6)
