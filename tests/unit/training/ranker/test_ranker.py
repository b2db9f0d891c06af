"""The ranker before it is fitted: what it blends, and what it leaves to the fit."""

import torch

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.training.ranker.model import Ranker


def _scores(association: float, has_query: float) -> torch.Tensor:
    features = torch.zeros(1, 2, len(CANDIDATE_FEATURES))
    features[:, 0, CANDIDATE_FEATURES.index("association")] = association
    features[..., CANDIDATE_FEATURES.index("has_query")] = has_query
    vectors = torch.eye(2).unsqueeze(0)
    score, _ = Ranker(20.0, 0.01).logits(torch.ones(1, 2), torch.ones(1, 2) * has_query, vectors, features)
    return score.detach()


def test_associations_speak_where_nothing_is_asked_for() -> None:
    assert torch.equal(_scores(3.0, has_query=0.0), torch.tensor([[23.0, 20.0]]))
    assert torch.equal(_scores(3.0, has_query=1.0), torch.tensor([[20.0, 20.0]]))
