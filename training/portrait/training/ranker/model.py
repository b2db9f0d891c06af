"""The ranker: profile, query and candidate to a score and two calibrated probabilities."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.search.word_index import QUERY_MATCHES

_HAS_QUERY = CANDIDATE_FEATURES.index("has_query")
_IS_COLD = CANDIDATE_FEATURES.index("cold_item")
_MATCHES = slice(CANDIDATE_FEATURES.index(QUERY_MATCHES[0]), len(CANDIDATE_FEATURES))
_STATISTICS = slice(0, len(ITEM_STATISTICS))
_PERSONAL = len(CANDIDATE_FEATURES) - len(QUERY_MATCHES)
"""Candidate features before the matches of the query: those that say what the shopper likes."""
_MAX_INPUT = 8.0
"""Standard deviations from the mean after which an input is cut."""
_MATCH_WEIGHTS = {"query_words": 3.0, "query_title": 1.0, "query_category": 1.0}
"""Start of the weights of a query's words, beside 1 for its nearness in standard deviations over the catalogue: an item
that holds all words comes before one that is near in the embeddings alone."""
_MIN_VARIANCE = 1e-6
_NO_RIVAL = -1e4
"""Score of a candidate that no other competes with; finite in float16 too."""


class Ranker(nn.Module):
    """Scores candidates by what the shopper did, by what a query asks for, and by what is known of the items.

    `score = relevance + share · (linear(x) + network(x))`, where x are the candidate features without the matches of
    the query, and the cosine of profile and candidate, standardised. Without a query, relevance is 0 and the share 1.
    With one, relevance comes first: `w · (nearness, matches)`, plus a network of these and the item's statistics that
    starts at 0; nearness is the cosine of query and candidate in standard deviations over the catalogue, since the
    cosines of some encoders hardly differ. The share is `sigmoid(gate)`, learnt from searches. Where later searches
    gain nothing by what the shopper did before, `searches_read_past` is False: then a search has to be ranked as that
    of a shopper who did nothing else.

    The probability that an item is next is `exp(a · l + b)`, where l is a linear function plus a network of the inputs
    and the score. It is that of a softmax over the whole catalogue: the inputs that are the same for all candidates of
    a request take the place of the logarithm of its sum. With a query, l also reads the logarithm of the softmax among
    the candidates, since the items that answer it are few; without one, no other candidate changes a probability.
    The probability that it is bought next is that times a logistic share. `ranking.calibrate` fits a and b.
    Probabilities know nothing of `cold_item_boost`, which is added to the personal part of cold items.

    Args:
        scale: what the cosine of profile and candidate counts at first: the softmax scale it was trained with.
        prior: chance of a candidate of which nothing is known: one over the number of items.
        dimension: length of the vectors.
        hidden: width of the network's layers.
    """

    calibration: Tensor
    """`[2, 2]`: slope and offset of the log-probability to be next, and of the log-odds to be bought if next."""
    cold_item_boost: Tensor
    searches_read_past: Tensor
    """False if the results of a search are not to depend on what the shopper did before it."""
    item_mean: Tensor
    item_covariance: Tensor
    mean: Tensor
    weight: Tensor

    def __init__(self, scale: float, prior: float, dimension: int, hidden: int = 64) -> None:
        super().__init__()
        # Candidate features, the cosine of the profile, and whether there is one.
        inputs = _PERSONAL + 2
        relevance = 1 + len(QUERY_MATCHES)
        self.query_weights = nn.Parameter(
            torch.tensor([1.0, *(_MATCH_WEIGHTS.get(name, 0.0) for name in QUERY_MATCHES)])
        )
        self.gate = nn.Parameter(torch.tensor(-4.0))
        self.register_buffer("calibration", torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        self.register_buffer("cold_item_boost", torch.tensor(0.0))
        self.register_buffer("searches_read_past", torch.tensor(True))
        self.register_buffer("item_mean", torch.zeros(dimension))
        self.register_buffer("item_covariance", torch.eye(dimension))
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("weight", torch.ones(inputs))
        self.linear = nn.Linear(inputs, 1, bias=False)
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.weight[0, _PERSONAL] = scale
        # The networks start at zero: an unfitted ranker compares profile, query and candidate only.
        self.network = _build_network(inputs, hidden)
        self.relevance_network = _build_network(relevance + len(ITEM_STATISTICS), hidden // 2)
        self.probability_head = nn.Linear(inputs + 3, 2)
        self.probability_network = _build_network(inputs + 3, hidden // 2, outputs=2)
        nn.init.zeros_(self.probability_head.weight)
        with torch.no_grad():
            self.probability_head.bias.copy_(torch.tensor([math.log(prior), 0.0]))

    def standardise(self, inputs: Tensor) -> None:
        """Take mean and deviation from `[n, inputs]`; an input that never varies is not read, as nothing is learnt."""
        deviation = inputs.std(0)
        self.mean.copy_(inputs.mean(0))
        self.weight.copy_(torch.where(deviation > 1e-4, 1.0 / deviation, torch.zeros_like(deviation)))
        with torch.no_grad():
            self.linear.weight *= torch.where(deviation > 1e-4, deviation, torch.ones_like(deviation))

    def describe_items(self, vectors: NDArray[Any]) -> None:
        """Take mean and covariance of the item vectors, `[items, dimension]`."""
        self.item_mean.copy_(torch.from_numpy(vectors.mean(0)))
        self.item_covariance.copy_(torch.from_numpy(np.cov(vectors, rowvar=False)))

    @staticmethod
    def join_inputs(profile: Tensor, profile_similarity: Tensor, candidate_features: Tensor) -> Tensor:
        """`[n, candidates, inputs]`: candidate features, cosine of the profile, and whether there is one."""
        personal = (profile * profile).sum(-1, keepdim=True).expand_as(profile_similarity)
        return torch.cat([candidate_features[..., :_PERSONAL], torch.stack([profile_similarity, personal], -1)], -1)

    def logits(
        self,
        profile: Tensor,
        query_embedding: Tensor,
        profile_similarity: Tensor,
        query_similarity: Tensor,
        candidate_features: Tensor,
        listed: Tensor,
        *,
        asks: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """`score [n, candidates]`, and log-probability to be next and log-odds to be bought if so; see `forward`.

        The latter two are `[n, candidates, 2]`. `listed`, `[n, candidates]`, tells which candidates serving would rank.
        `asks` says whether any of the n has a query: without one the result is the same, and cheaper.
        """
        has_query = candidate_features[..., _HAS_QUERY]
        inputs = self.join_inputs(profile, profile_similarity, candidate_features)
        inputs = ((inputs - self.mean) * self.weight).clamp(-_MAX_INPUT, _MAX_INPUT)
        relevance = (
            self._compute_relevance(query_embedding, query_similarity, candidate_features)
            if asks
            else torch.zeros_like(has_query)
        )
        share = 1.0 - has_query * torch.sigmoid(-self.gate)
        personal = (self.linear(inputs) + self.network(inputs)).squeeze(-1)
        score = relevance + share * personal
        rivals = score.masked_fill(~listed, _NO_RIVAL).logsumexp(-1, keepdim=True)
        told = torch.stack([relevance, score, has_query * (score - rivals)], -1) / 10.0
        told = torch.cat([inputs, told], -1)
        chances = self.probability_head(told) + self.probability_network(told)
        chances = chances * self.calibration[:, 0] + self.calibration[:, 1]
        return score + share * self.cold_item_boost * candidate_features[..., _IS_COLD], chances

    def _compute_relevance(
        self, query_embedding: Tensor, query_similarity: Tensor, candidate_features: Tensor
    ) -> Tensor:
        """`[n, candidates]`: how well candidates answer the query; 0 without one."""
        spread = ((query_embedding @ self.item_covariance) * query_embedding).sum(-1, keepdim=True)
        distance = query_similarity - (query_embedding @ self.item_mean).unsqueeze(-1)
        near = distance / spread.clamp(min=_MIN_VARIANCE).sqrt()
        told = torch.cat([near.unsqueeze(-1), candidate_features[..., _MATCHES]], -1)
        learnt = self.relevance_network(torch.cat([told, candidate_features[..., _STATISTICS]], -1)).squeeze(-1)
        return told @ self.query_weights + candidate_features[..., _HAS_QUERY] * learnt

    def forward(
        self,
        profile: Tensor,
        query_embedding: Tensor,
        profile_similarity: Tensor,
        query_similarity: Tensor,
        candidate_features: Tensor,
        mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rank candidates, whose vectors are needed only for two inner products: a hundredth of the bytes of vectors.

        Args:
            profile: `[n, dimension]`, zeros for a shopper without history.
            query_embedding: `[n, dimension]`, zeros without a query.
            profile_similarity: `[n, candidates]`, inner products of the candidates' vectors and the profile.
            query_similarity: `[n, candidates]`, those of the candidates' vectors and the query.
            candidate_features: `[n, candidates, len(CANDIDATE_FEATURES)]`.
            mask: `[n, candidates]`, 1 for a candidate, 0 for padding.

        Returns:
            `score`, `click`, `purchase`, each `[n, candidates]`; the latter two are probabilities, to be scaled by
            `probabilities.limit_total`. A purchase is never more probable than a click.
        """
        score, chances = self.logits(
            profile, query_embedding, profile_similarity, query_similarity, candidate_features, mask > 0
        )
        click = compute_next_probability(chances)
        return score, click, click * torch.sigmoid(chances[..., 1])


def compute_similarity(candidate_embedding: Tensor, wish: Tensor) -> Tensor:
    """`[n, candidates, dimension]` and `[n, dimension]` → `[n, candidates]`: inner products."""
    return (candidate_embedding @ wish.unsqueeze(-1)).squeeze(-1)


def compute_next_probability(chances: Tensor) -> Tensor:
    """`[n, candidates]`: probability to be next, of the second result of `Ranker.logits`."""
    return chances[..., 0].clamp(max=0.0).exp()


def _build_network(inputs: int, hidden: int, outputs: int = 1) -> nn.Sequential:
    """Build two hidden layers before outputs that are 0 until they are fitted."""
    last = nn.Linear(hidden, outputs, bias=False)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), last)
