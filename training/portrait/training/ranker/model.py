"""The ranker: profile, query and candidate to a score and two calibrated probabilities."""

import math

import torch
from torch import Tensor, nn

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES

_ASSOCIATION = CANDIDATE_FEATURES.index("association")
_HAS_QUERY = CANDIDATE_FEATURES.index("has_query")
_IS_COLD = CANDIDATE_FEATURES.index("cold_item")


class Ranker(nn.Module):
    """Blends the retrieval score with the associations, and corrects it by what is known of each candidate.

    `score = scale · profile·candidate + query_scale · query·candidate + association_scale · association +
    correction(features)`; where something is asked for, associations count in the correction alone. The probabilities
    are logistic in the score and the features; `ranker.ranking` describes their calibration. They know nothing
    of `cold_item_boost`, which is added to the scores of cold items alone.

    Args:
        scale: what the cosine of profile and candidate counts at first: the softmax scale it was trained with.
        prior: chance of a candidate of which nothing is known: one over the number of items.
        hidden: width of the correction.
    """

    cold_item_boost: Tensor

    def __init__(self, scale: float, prior: float, hidden: int = 32) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale)))
        self.query_scale = nn.Parameter(torch.tensor(0.0))
        self.association_scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("cold_item_boost", torch.tensor(0.0))
        # Candidate features, the two cosines, and whether there is a profile.
        inputs = len(CANDIDATE_FEATURES) + 3
        # It starts at zero: an unfitted ranker only blends.
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.correction = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), last)
        self.probability_head = nn.Linear(inputs + 1, 2)
        nn.init.zeros_(self.probability_head.weight)
        nn.init.constant_(self.probability_head.bias, math.log(prior))

    def logits(
        self,
        profile: Tensor,
        query_embedding: Tensor,
        candidate_embedding: Tensor,
        candidate_features: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """`score [n, candidates]` and log-odds of click and purchase `[n, candidates, 2]`; see `forward`."""
        fit = (candidate_embedding @ profile.unsqueeze(-1)).squeeze(-1)
        query_fit = (candidate_embedding @ query_embedding.unsqueeze(-1)).squeeze(-1)
        personal = (profile * profile).sum(-1, keepdim=True).expand_as(fit)
        inputs = torch.cat([candidate_features, torch.stack([fit, query_fit, personal], -1)], -1)
        association = candidate_features[..., _ASSOCIATION] * (1.0 - candidate_features[..., _HAS_QUERY])
        blended = self.scale * fit + self.query_scale * query_fit + self.association_scale * association
        score = blended + self.correction(inputs).squeeze(-1)
        chances = self.probability_head(torch.cat([inputs, score.unsqueeze(-1) / 10.0], -1))
        return score + self.cold_item_boost * candidate_features[..., _IS_COLD], chances

    def forward(
        self,
        profile: Tensor,
        query_embedding: Tensor,
        candidate_embedding: Tensor,
        candidate_features: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rank candidates.

        Args:
            profile: `[n, dimension]`, zeros for a shopper without history.
            query_embedding: `[n, dimension]`, zeros without a query.
            candidate_embedding: `[n, candidates, dimension]`.
            candidate_features: `[n, candidates, len(CANDIDATE_FEATURES)]`.

        Returns:
            `score`, `click`, `purchase`, each `[n, candidates]`; the latter two are probabilities.
        """
        score, chances = self.logits(profile, query_embedding, candidate_embedding, candidate_features)
        click, purchase = torch.sigmoid(chances).unbind(-1)
        return score, click, purchase
