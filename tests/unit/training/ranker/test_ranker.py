"""The ranker before it is fitted, how its inputs are standardised, and how far history moves a search."""

import numpy as np
import pytest
import torch

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.search.word_index import QUERY_MATCHES
from portrait.training.ranker.model import Ranker, compute_similarity

MATCHES = [CANDIDATE_FEATURES.index(name) for name in QUERY_MATCHES]
SAME_FOR_ALL = [CANDIDATE_FEATURES.index(name) for name in (*ITEM_STATISTICS, "cold_item", "has_query", *QUERY_MATCHES)]
HAS_QUERY, COLD = CANDIDATE_FEATURES.index("has_query"), CANDIDATE_FEATURES.index("cold_item")


def _inputs(has_query: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A shopper who likes the first of two candidates twice as much, and asks for the second if for anything."""
    torch.manual_seed(0)
    features = torch.rand(1, 2, len(CANDIDATE_FEATURES))
    features[..., HAS_QUERY], features[..., COLD], features[..., MATCHES] = has_query, 0.0, 0.0
    profile, query = torch.tensor([[0.8, 0.4]]), torch.tensor([[0.0, 1.0]]) * has_query
    return profile, query, torch.eye(2).unsqueeze(0), features


def _rank(
    ranker: Ranker, profile: torch.Tensor, query: torch.Tensor, candidates: torch.Tensor, features: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rank candidates by their vectors; a candidate of zeros is padding."""
    similarities = compute_similarity(candidates, profile), compute_similarity(candidates, query)
    return ranker(profile, query, *similarities, features, candidates.any(-1).long())


def _score(ranker: Ranker, has_query: float) -> list[float]:
    with torch.no_grad():
        score, _, _ = _rank(ranker, *_inputs(has_query))
    return score[0].tolist()


def _gate(ranker: Ranker, value: float) -> Ranker:
    with torch.no_grad():
        ranker.gate.fill_(value)
    return ranker


def test_before_the_fit_only_profile_and_query_speak() -> None:
    assert _score(Ranker(20.0, 0.01, 2), 0.0) == pytest.approx([16.0, 8.0])
    ranker = _gate(Ranker(20.0, 0.01, 2), 0.0)
    assert _score(ranker, 1.0) == pytest.approx([16.0 / 2, 8.0 / 2 + 1.0])


def test_a_closed_gate_leaves_the_order_of_a_search_to_the_query() -> None:
    ranker = _gate(Ranker(20.0, 0.01, 2), -40.0)
    assert _score(ranker, 1.0) == pytest.approx([0.0, 1.0])
    # Without a query it shuts nothing out.
    assert _score(ranker, 0.0) == pytest.approx([16.0, 8.0])


def test_standardised_inputs_leave_the_difference_of_two_candidates_as_it_was() -> None:
    ranker = Ranker(20.0, 0.01, 2)
    profile, _, candidates, features = _inputs(0.0)
    many = ranker.join_inputs(profile, compute_similarity(candidates, profile), features).squeeze(0)
    ranker.standardise(torch.cat([many, 2.0 * many, 3.0 * many]))
    first, second = _score(ranker, 0.0)
    assert first - second == pytest.approx(8.0, rel=1e-4)
    # Nothing was learnt of an input that never varied: it is not read.
    assert float(ranker.weight[HAS_QUERY]) == 0.0


def test_before_the_fit_found_words_count_more_than_nearness() -> None:
    ranker = _gate(Ranker(20.0, 0.01, 2), -40.0)
    arguments = _inputs(1.0)
    arguments[-1][0, 0, MATCHES[0]] = 1.0
    with torch.no_grad():
        score, _, _ = _rank(ranker, *arguments)
    assert score[0].tolist() == pytest.approx([3.0, 1.0])


def test_nearness_is_measured_in_deviations_over_the_catalogue() -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(500, 2)) * 0.1 + 3.0).astype(np.float32)
    ranker = _gate(Ranker(20.0, 0.01, 2), -40.0)
    ranker.describe_items(vectors)
    query = torch.tensor([[0.6, 0.8]])
    features = torch.zeros(1, 500, len(CANDIDATE_FEATURES))
    features[..., HAS_QUERY] = 1.0
    with torch.no_grad():
        score, _, _ = _rank(ranker, torch.zeros(1, 2), query, torch.from_numpy(vectors)[None], features)
    assert float(score.mean()) == pytest.approx(0.0, abs=1e-3)
    assert float(score.std()) == pytest.approx(1.0, rel=1e-2)


def test_the_boost_lifts_cold_items_and_no_chances() -> None:
    ranker = Ranker(20.0, 0.01, 2)
    arguments = _inputs(0.0)
    arguments[-1][0, 1, COLD] = 1.0
    before = _rank(ranker, *arguments)
    ranker.cold_item_boost.fill_(1.5)
    after = _rank(ranker, *arguments)
    assert (after[0] - before[0])[0].tolist() == pytest.approx([0.0, 1.5])
    # In a search, no item comes first for want of events.
    searched = _rank(
        _gate(ranker, -40.0),
        *arguments[:3],
        torch.where(torch.arange(len(CANDIDATE_FEATURES)) == HAS_QUERY, 1.0, arguments[3]),
    )
    assert searched[0][0].tolist() == pytest.approx([0.0, 0.0], abs=1e-4)
    assert torch.equal(after[1], before[1])
    assert torch.equal(after[2], before[2])
    assert before[1][0].tolist() == pytest.approx([0.01, 0.01], rel=0.02)


@pytest.mark.parametrize("has_query", [0.0, 1.0])
def test_padding_changes_nothing_of_the_candidates(has_query: float) -> None:
    ranker = Ranker(20.0, 0.01, 2)
    torch.nn.init.normal_(ranker.probability_head.weight)
    profile, query, candidates, features = _inputs(has_query)
    padded = [torch.nn.functional.pad(each, (0, 0, 0, 3)) for each in (candidates, features)]
    with torch.no_grad():
        alone, beside = _rank(ranker, profile, query, candidates, features), _rank(ranker, profile, query, *padded)
    for name, one, other in zip(("score", "click", "purchase"), alone, beside, strict=True):
        assert torch.allclose(one, other[:, :2], atol=1e-6), name


@pytest.mark.parametrize("has_query", [0.0, 1.0])
def test_other_candidates_change_chances_after_a_search_only(has_query: float) -> None:
    ranker = Ranker(20.0, 0.01, 2)
    torch.nn.init.normal_(ranker.probability_head.weight, std=0.1)
    profile, query, candidates, features = _inputs(has_query)
    with torch.no_grad():
        both = _rank(ranker, profile, query, candidates, features)[1]
        alone = _rank(ranker, profile, query, candidates[:, :1], features[:, :1])[1]
    assert torch.allclose(both[:, :1], alone, rtol=1e-4) == (has_query == 0.0)


def test_where_nobody_asks_relevance_need_not_be_computed() -> None:
    ranker = Ranker(20.0, 0.01, 2)
    for parameter in ranker.parameters():
        torch.nn.init.normal_(parameter)
    profile, query, candidates, features = _inputs(0.0)
    similarities = compute_similarity(candidates, profile), compute_similarity(candidates, query)
    inputs = (profile, query, *similarities, features, torch.ones(1, 2, dtype=torch.bool))
    with torch.no_grad():
        for one, other in zip(ranker.logits(*inputs), ranker.logits(*inputs, asks=False), strict=True):
            assert torch.equal(one, other)
