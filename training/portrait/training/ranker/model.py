"""The ranker: profile, query and candidate to a score and two calibrated probabilities."""

import math

import torch
from torch import Tensor, nn

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES

_HAS_QUERY = CANDIDATE_FEATURES.index("has_query")
_IS_COLD = CANDIDATE_FEATURES.index("cold_item")
_MAX_INPUT = 8.0
"""Standard deviations from the mean after which an input is cut."""


class Ranker(nn.Module):
    """Scores candidates by what the shopper did, by what a query asks for, and by what is known of the items.

    `score = query_scale · query·candidate + share · (linear(x) + network(x))`, where x are the candidate features and
    the cosine of profile and candidate, standardised. Without a query the share is 1. With one it is `sigmoid(gate)`,
    learnt from searches: how far the shopper's past may move a result. The probabilities are logistic in the score
    and the inputs; `ranker.ranking` describes their calibration. They know nothing of `cold_item_boost`, which is
    added to the scores of cold items alone.

    Args:
        scale: what the cosine of profile and candidate counts at first: the softmax scale it was trained with.
        prior: chance of a candidate of which nothing is known: one over the number of items.
        hidden: width of the network's layers.
    """

    cold_item_boost: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, scale: float, prior: float, hidden: int = 64) -> None:
        super().__init__()
        # Candidate features, the cosine of the profile, and whether there is one.
        inputs = len(CANDIDATE_FEATURES) + 2
        self.query_scale = nn.Parameter(torch.tensor(float(scale)))
        self.gate = nn.Parameter(torch.tensor(-4.0))
        self.register_buffer("cold_item_boost", torch.tensor(0.0))
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.linear = nn.Linear(inputs, 1, bias=False)
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.weight[0, len(CANDIDATE_FEATURES)] = scale
        # It starts at zero: an unfitted ranker only compares profile and candidate.
        last = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(last.weight)
        self.network = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), last)
        self.probability_head = nn.Linear(inputs + 2, 2)
        nn.init.zeros_(self.probability_head.weight)
        nn.init.constant_(self.probability_head.bias, math.log(prior))

    def standardise(self, inputs: Tensor) -> None:
        """Take mean and deviation from `[n, inputs]`; an input that never varies stays as it is."""
        deviation = inputs.std(0)
        self.mean.copy_(inputs.mean(0))
        self.deviation.copy_(torch.where(deviation > 1e-4, deviation, torch.ones_like(deviation)))
        with torch.no_grad():
            self.linear.weight *= self.deviation

    @staticmethod
    def join_inputs(profile: Tensor, candidate_embedding: Tensor, candidate_features: Tensor) -> Tensor:
        """`[n, candidates, inputs]`: candidate features, cosine of the profile, and whether there is one."""
        fit = (candidate_embedding @ profile.unsqueeze(-1)).squeeze(-1)
        personal = (profile * profile).sum(-1, keepdim=True).expand_as(fit)
        return torch.cat([candidate_features, torch.stack([fit, personal], -1)], -1)

    def logits(
        self,
        profile: Tensor,
        query_embedding: Tensor,
        candidate_embedding: Tensor,
        candidate_features: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """`score [n, candidates]` and log-odds of click and purchase `[n, candidates, 2]`; see `forward`."""
        inputs = self.join_inputs(profile, candidate_embedding, candidate_features)
        inputs = ((inputs - self.mean) / self.deviation).clamp(-_MAX_INPUT, _MAX_INPUT)
        query_fit = (candidate_embedding @ query_embedding.unsqueeze(-1)).squeeze(-1)
        has_query = candidate_features[..., _HAS_QUERY]
        share = 1.0 - has_query * torch.sigmoid(-self.gate)
        personal = (self.linear(inputs) + self.network(inputs)).squeeze(-1)
        score = self.query_scale * query_fit + share * personal
        told = torch.stack([query_fit, score / 10.0], -1)
        chances = self.probability_head(torch.cat([inputs, told], -1))
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
