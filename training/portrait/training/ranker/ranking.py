"""The fit of the ranker: candidates as serving generates them, for moments that nothing else learnt from.

On events that the encoders and the relations learnt from, their scores look better than they are; a ranker fitted
there would trust them too much.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.training.encoders.retrieval import TargetVectors
from portrait.training.ranker.candidates import Candidates
from portrait.training.ranker.model import Ranker, compute_similarity

SIMULATED_COLD_SHARE = 0.1
"""Share of the known items that are treated as cold items while the ranker is fitted. Real cold items have no events
to learn from; by these, the ranker learns how often an item is wanted that has only a similar text."""

EPOCHS = 20
_BATCH, _LEARNING_RATE, _PROBABILITY_LEARNING_RATE, _WEIGHT_DECAY = 64, 3e-3, 3e-2, 1e-2
CALIBRATION_SHARE = 0.2
"""Share of the targets, the latest, which settle whether the past moves searches, and calibrate the probabilities."""
_MIN_SEARCHES = 30
"""Later searches after other events, without which none of them can tell that the past helps."""
_SURE = 1.96
"""Standard errors above 0 by which a gain is told from chance: a 95% interval."""
_EVENTS = CANDIDATE_FEATURES.index("events")
_DOUBT = torch.tensor([1.0, 0.01])
"""Weights of the squared changes of slope and offset beside the loss of all targets: few targets change slopes little,
and offsets stay finite where all targets are purchases, or none."""
_MAX_LOG_COUNT = 10.0
"""Larger logarithms of expected counts are cut, so that no number overflows."""
_MAX_STANDARDISED = 200_000
"""Candidates whose inputs give the means and deviations."""
_SIMILAR_SIZES = 32
"""Targets whose numbers of candidates differ by less may share a batch, whichever they are."""


def choose_simulated_cold(item_counts: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Choose the known items, by row, that are treated as cold items while the ranker is fitted."""
    known = np.flatnonzero(item_counts)
    return np.random.default_rng(seed).choice(known, int(SIMULATED_COLD_SHARE * len(known)), replace=False)


def run_ranker(
    ranker: Ranker, vectors: TargetVectors, candidates: Candidates, texts: Tensor, rows: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Compute the results of `Ranker.logits` for some targets: `[rows, candidates]` and `[rows, candidates, 2]`.

    Args:
        ranker: the ranker.
        vectors: vectors of profiles and items.
        candidates: candidates of all targets.
        texts: `[texts, dimension]`, embeddings of the corpus' texts.
        rows: indices of the targets.
    """
    query = candidates.query[rows]
    query_vectors = texts[torch.from_numpy(np.maximum(query, 0))] * torch.from_numpy(query >= 0).unsqueeze(-1)
    profiles, items = torch.from_numpy(vectors.profiles[rows]), torch.from_numpy(vectors.items[candidates.items[rows]])
    return ranker.logits(
        profiles,
        query_vectors,
        compute_similarity(items, profiles),
        compute_similarity(items, query_vectors),
        torch.from_numpy(candidates.features[rows]),
        torch.from_numpy(candidates.shown[rows]),
        asks=bool((query >= 0).any()),
    )


@dataclass(frozen=True)
class SearchesAlone:
    """Later searches of shoppers with a past, as of shoppers who did nothing else."""

    rows: NDArray[np.int64]
    """`[searches]`: rows of their targets among all samples."""
    vectors: TargetVectors
    candidates: Candidates


@dataclass(frozen=True)
class RankerSamples:
    """Moments that a ranker is fitted to."""

    vectors: TargetVectors
    """Vectors of profiles and items."""
    candidates: Candidates
    """Candidates of all targets."""
    texts: Tensor
    """`[texts, dimension]`, embeddings of the corpus' texts."""
    weights: NDArray[np.float32]
    """`[targets]`, correct position bias and apply to the order only; the probabilities predict what happens, position
    bias included."""
    times: NDArray[np.float64]
    """`[targets]`, seconds since 1970."""
    searches_alone: SearchesAlone | None = None
    """Those of `find_searches_with_past`, of the later targets; None if there are none."""

    def find_searches_with_past(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the targets of searches of shoppers who did something before, ascending, of some rows."""
        candidates = self.candidates
        reachable = (candidates.together[rows] & candidates.shown[rows]).any(1)
        has_past = candidates.features[rows, 0, _EVENTS] > 0
        return np.sort(rows[(candidates.query[rows] >= 0) & reachable & has_past])

    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Split the rows of the targets into earlier ones, which the ranker learns from, and later ones."""
        in_time = np.argsort(self.times, kind="stable")
        early, late = np.split(in_time, [len(in_time) - int(CALIBRATION_SHARE * len(in_time))])
        return early, late


def fit_ranker(
    samples: RankerSamples, scale: float, seed: int, before_epoch: Callable[[], None] = lambda: None,
    epochs: int = EPOCHS, rate_factor: float = 1.0,
) -> Ranker:  # fmt: skip
    """Fit a ranker to the earlier targets, and calibrate its probabilities on the later ones.

    The order is fitted by a softmax over the items that serving ranks. A moment may hold several items; each of them is
    compared with the items of other moments only. `click` is the probability that the candidate is the item on which
    the shopper acts next in any way, `purchase` that this is a purchase. Both are over the whole catalogue, by
    the likelihood of a Poisson distribution: the uniformly drawn items represent the part that no source found, by
    their weight in the expected count, which is 1 for the whole catalogue.

    Args:
        samples: moments, with their candidates.
        scale: what the cosine of profile and candidate counts at first.
        seed: for the order of the targets.
        before_epoch: called before each epoch.
        epochs: passes over the earlier targets.
        rate_factor: factor of the learning rates, for fewer epochs.
    """
    vectors, candidates, texts = samples.vectors, samples.candidates, samples.texts
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    ranker = Ranker(scale, 1.0 / len(vectors.items), vectors.items.shape[1])
    ranker.describe_items(vectors.items)
    _standardise(ranker, vectors, candidates, random)
    # The probability heads are linear and start at a prior that is far off for popular items: they need larger steps.
    # What no target teaches stays as it is: without searches, nothing says how far the past may move their results.
    parts = (ranker.linear, ranker.network, ranker.relevance_network, ranker.probability_network)
    groups: list[dict[str, Any]] = [
        {"params": [parameter for part in parts for parameter in part.parameters()]},
        {"params": [ranker.query_weights, ranker.gate], "weight_decay": 0.0},
        {"params": ranker.probability_head.parameters(), "lr": rate_factor * _PROBABILITY_LEARNING_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate_factor * _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    early, late = samples.split()
    batches = max(1, len(early) // _BATCH)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    for _ in range(epochs):
        before_epoch()
        for rows in _draw_batches(candidates, early, batches, random):
            optimizer.zero_grad()
            batch = _take_batch(vectors, candidates, rows)
            loss = _compute_loss(ranker, *batch, texts, samples.weights[rows], np.arange(len(rows)))
            loss.backward()
            optimizer.step()
            decay.step()
    seen = [(vectors, candidates, late)]
    if (candidates.query[late] >= 0).any() and not tell_whether_past_helps(ranker.eval(), samples):
        ranker.searches_read_past.fill_(False)
        if (alone := samples.searches_alone) is not None:
            seen = [
                (vectors, candidates, np.setdiff1d(late, alone.rows)),
                (alone.vectors, alone.candidates, np.arange(len(alone.rows))),
            ]
    calibrate(ranker.eval(), texts, seen)
    return ranker


@torch.no_grad()
def tell_whether_past_helps(ranker: Ranker, samples: RankerSamples) -> bool:
    """Tell whether what later searches want stands higher by the past of their shoppers, beyond chance.

    The same searches are ranked as of shoppers who did nothing else. The places count, not the likelihood: the past may
    make a ranking surer of itself and yet no better.

    Args:
        ranker: the ranker.
        samples: moments, with their candidates.
    """
    alone = samples.searches_alone
    if alone is None or len(alone.rows) < _MIN_SEARCHES:
        return False
    gain = _measure_places(ranker, samples.vectors, samples.candidates, samples.texts, alone.rows) - _measure_places(
        ranker, alone.vectors, alone.candidates, samples.texts, np.arange(len(alone.rows))
    )
    return bool(gain.mean() > _SURE * gain.std() / len(gain) ** 0.5)


def _measure_places(
    ranker: Ranker, vectors: TargetVectors, candidates: Candidates, texts: Tensor, rows: NDArray[np.int64]
) -> Tensor:
    """`[rows]`: mean reciprocal rank of the items of each moment, among itself and what is shown of other moments."""
    parts = np.array_split(rows, max(1, len(rows) // _BATCH))
    score = torch.cat([run_ranker(ranker, vectors, candidates, texts, part)[0] for part in parts])
    shown = torch.from_numpy(candidates.shown[rows])
    wanted = torch.from_numpy(candidates.together[rows]) & shown
    rest = score.masked_fill(~(shown & ~wanted), -torch.inf).sort(-1).values
    # Of two with one score, the wanted item counts as the later one.
    before = rest.shape[-1] - torch.searchsorted(rest, score.contiguous())
    return (wanted / (1.0 + before)).sum(-1) / wanted.sum(-1).clamp(min=1)


def calibrate(
    ranker: Ranker, texts: Tensor, seen: Sequence[tuple[TargetVectors, Candidates, NDArray[np.int64]]]
) -> None:
    """Set the slopes and offsets of a ranker's probabilities by targets that it was not fitted to (Platt 1999).

    Args:
        ranker: the ranker, not calibrated yet.
        texts: `[texts, dimension]`, embeddings of the corpus' texts.
        seen: vectors and candidates as serving sees them, each with the rows of the targets to calibrate on.
    """
    targets = [
        (_compute_chances(ranker, texts, vectors, candidates, rows), candidates, rows)
        for vectors, candidates, rows in seen
        if len(rows)
    ]
    calibration = ranker.calibration.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([calibration], max_iter=100, line_search_fn="strong_wolfe")

    def compute() -> float:
        optimizer.zero_grad()
        loss = ((calibration - ranker.calibration).square() * _DOUBT).sum()
        for chances, candidates, rows in targets:
            adjusted = chances * calibration[:, 0] + calibration[:, 1]
            loss = loss + _compute_chance_loss(adjusted, candidates, rows).sum()
        loss.backward()
        return loss.item()

    optimizer.step(compute)
    ranker.calibration.copy_(calibration.detach())


@torch.no_grad()
def _compute_chances(
    ranker: Ranker, texts: Tensor, vectors: TargetVectors, candidates: Candidates, rows: NDArray[np.int64]
) -> Tensor:
    parts = np.array_split(rows, max(1, len(rows) // _BATCH))
    return torch.cat([run_ranker(ranker, vectors, candidates, texts, part)[1] for part in parts])


def _draw_batches(
    candidates: Candidates, rows: NDArray[np.int64], count: int, random: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Draw the batches of an epoch. Targets with about as many candidates share a batch, so that little is padding."""
    sizes = (candidates.items[rows] >= 0).sum(1)
    batches = np.array_split(rows[np.lexsort((random.random(len(rows)), sizes // _SIMILAR_SIZES))], count)
    random.shuffle(batches)
    return batches


def _take_batch(
    vectors: TargetVectors, candidates: Candidates, rows: NDArray[np.int64]
) -> tuple[TargetVectors, Candidates]:
    """Take some targets, and no more columns than the most candidates of one of them."""
    width = int((candidates.items[rows] >= 0).sum(1).max())
    taken = {name: values[rows] for name, values in vars(candidates).items()}
    trimmed = {name: values[:, :width] if values.ndim > 1 else values for name, values in taken.items()}
    return TargetVectors(vectors.items, vectors.profiles[rows], vectors.targets[rows]), Candidates(**trimmed)


def _standardise(ranker: Ranker, vectors: TargetVectors, candidates: Candidates, random: np.random.Generator) -> None:
    rows, columns = np.nonzero(candidates.shown)
    drawn = random.choice(len(rows), min(len(rows), _MAX_STANDARDISED), replace=False)
    rows, columns = rows[drawn], columns[drawn]
    profiles = torch.from_numpy(vectors.profiles[rows])
    inputs = ranker.join_inputs(
        profiles,
        compute_similarity(torch.from_numpy(vectors.items[candidates.items[rows, columns]])[:, None], profiles),
        torch.from_numpy(candidates.features[rows, columns])[:, None],
    )
    ranker.standardise(inputs[:, 0])


def _compute_loss(
    ranker: Ranker, vectors: TargetVectors, candidates: Candidates, texts: Tensor, weights: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> Tensor:  # fmt: skip
    score, chances = run_ranker(ranker, vectors, candidates, texts, rows)
    listwise = _measure_order(score, candidates, rows) * torch.from_numpy(weights[rows])
    reachable = torch.from_numpy((candidates.together[rows] & candidates.shown[rows]).any(1))
    chance = _compute_chance_loss(chances, candidates, rows).mean()
    return (listwise * reachable).sum() / reachable.sum().clamp(min=1) + chance


def _compute_chance_loss(chances: Tensor, candidates: Candidates, rows: NDArray[np.int64]) -> Tensor:
    """`[rows]`: negative log-likelihood of the next item, and of its purchase given that it is next."""
    log_next, log_odds = chances.unbind(-1)
    label = torch.from_numpy(candidates.label[rows])
    expected = log_next.clamp(max=_MAX_LOG_COUNT).exp() * torch.from_numpy(candidates.weight[rows])
    bought = torch.from_numpy(candidates.bought[rows]).float().unsqueeze(-1).expand_as(log_odds)
    purchase = functional.binary_cross_entropy_with_logits(log_odds, bought, reduction="none")
    return expected.sum(-1) + (label * (purchase - log_next)).sum(-1)


def _measure_order(score: Tensor, candidates: Candidates, rows: NDArray[np.int64]) -> Tensor:
    """`[rows]`: mean cross-entropy of each item of the moment among itself and the items of other moments."""
    shown = torch.from_numpy(candidates.shown[rows])
    wanted = torch.from_numpy(candidates.together[rows]) & shown
    rest = score.masked_fill(~(shown & ~wanted), -1e4).logsumexp(-1, keepdim=True)
    loss = functional.softplus(rest - score)
    return (loss * wanted).sum(-1) / wanted.sum(-1).clamp(min=1)
