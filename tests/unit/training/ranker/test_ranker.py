"""The ranker before it is fitted, how its inputs are standardised, and how far history moves a search."""

import pytest
import torch

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.training.ranker.model import Ranker

HAS_QUERY, COLD = CANDIDATE_FEATURES.index("has_query"), CANDIDATE_FEATURES.index("cold_item")


def _inputs(has_query: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A shopper who likes the first of two candidates twice as much, and asks for the second if for anything."""
    torch.manual_seed(0)
    features = torch.rand(1, 2, len(CANDIDATE_FEATURES))
    features[..., HAS_QUERY], features[..., COLD] = has_query, 0.0
    profile, query = torch.tensor([[0.8, 0.4]]), torch.tensor([[0.0, 1.0]]) * has_query
    return profile, query, torch.eye(2).unsqueeze(0), features


def _score(ranker: Ranker, has_query: float) -> list[float]:
    with torch.no_grad():
        score, _ = ranker.logits(*_inputs(has_query))
    return score[0].tolist()


def _gate(ranker: Ranker, value: float) -> Ranker:
    with torch.no_grad():
        ranker.gate.fill_(value)
    return ranker


def test_before_the_fit_only_profile_and_query_speak() -> None:
    assert _score(Ranker(20.0, 0.01), 0.0) == pytest.approx([16.0, 8.0])
    ranker = _gate(Ranker(20.0, 0.01), 0.0)
    assert _score(ranker, 1.0) == pytest.approx([16.0 / 2, 8.0 / 2 + 20.0])


def test_a_closed_gate_leaves_the_order_of_a_search_to_the_query() -> None:
    ranker = _gate(Ranker(20.0, 0.01), -40.0)
    assert _score(ranker, 1.0) == pytest.approx([0.0, 20.0])
    # Without a query it shuts nothing out.
    assert _score(ranker, 0.0) == pytest.approx([16.0, 8.0])


def test_standardised_inputs_leave_the_difference_of_two_candidates_as_it_was() -> None:
    ranker = Ranker(20.0, 0.01)
    profile, _, candidates, features = _inputs(0.0)
    many = ranker.join_inputs(profile, candidates, features).squeeze(0)
    ranker.standardise(torch.cat([many, 2.0 * many, 3.0 * many]))
    first, second = _score(ranker, 0.0)
    assert first - second == pytest.approx(8.0, rel=1e-4)
    # An input that never varied is read as it is.
    assert float(ranker.deviation[HAS_QUERY]) == 1.0


def test_the_boost_lifts_cold_items_and_no_chances() -> None:
    ranker = Ranker(20.0, 0.01)
    arguments = _inputs(0.0)
    arguments[-1][0, 1, COLD] = 1.0
    before = ranker(*arguments)
    ranker.cold_item_boost.fill_(1.5)
    after = ranker(*arguments)
    assert (after[0] - before[0])[0].tolist() == pytest.approx([0.0, 1.5])
    assert torch.equal(after[1], before[1])
    assert torch.equal(after[2], before[2])
    assert before[1][0].tolist() == pytest.approx([0.01, 0.01], rel=0.02)
