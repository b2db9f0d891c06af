"""The fit of the ranker: candidates as serving generates them, for moments that nothing else learnt from.

On events that the encoders and the relations learnt from, their scores look better than they are; a ranker fitted
there would trust them too much.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from portrait.training.encoders.retrieval import TargetVectors
from portrait.training.ranker.candidates import Candidates
from portrait.training.ranker.model import Ranker

SIMULATED_COLD_SHARE = 0.1
"""Share of the known items that are treated as cold items while the ranker is fitted. Real cold items have no events
to learn from; by these, the ranker learns how often an item is wanted that has only a similar text."""

_EPOCHS, _BATCH, _LEARNING_RATE, _PROBABILITY_LEARNING_RATE, _WEIGHT_DECAY = 20, 64, 3e-3, 3e-2, 1e-2
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
    """Compute scores `[rows, candidates]` and log-odds `[rows, candidates, 2]` (click, purchase) of some targets.

    Args:
        ranker: the ranker.
        vectors: vectors of profiles and items.
        candidates: candidates of all targets.
        texts: `[texts, dimension]`, embeddings of the corpus' texts.
        rows: indices of the targets.
    """
    query = candidates.query[rows]
    query_vectors = texts[torch.from_numpy(np.maximum(query, 0))] * torch.from_numpy(query >= 0).unsqueeze(-1)
    return ranker.logits(
        torch.from_numpy(vectors.profiles[rows]),
        query_vectors,
        torch.from_numpy(vectors.items[candidates.items[rows]]),
        torch.from_numpy(candidates.features[rows]),
    )


def fit_ranker(
    vectors: TargetVectors,
    candidates: Candidates,
    texts: Tensor,
    weights: NDArray[np.float32],
    scale: float,
    seed: int,
) -> Ranker:
    """Fit a ranker: the order by a softmax over the items that serving ranks, the probabilities by cross-entropy.

    A moment may hold several items; each of them is compared with the items of other moments only. `click` is the
    probability that the candidate is the item on which the shopper acts next in any way, `purchase` that it is the one
    bought next. Both are over the whole catalogue: the uniformly drawn items represent the part that no source found,
    by their weight in the binary cross-entropy. `weights`, `[targets]`, correct position bias and apply to the order
    only; the probabilities predict what happens, position bias included.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    ranker = Ranker(scale, 1.0 / len(vectors.items))
    _standardise(ranker, vectors, candidates, random)
    # The probability heads are linear and start at a prior that is far off for popular items: they need larger steps.
    # What no target teaches stays as it is: without searches, nothing says how far the past may move their results.
    groups: list[dict[str, Any]] = [
        {"params": [*ranker.linear.parameters(), *ranker.network.parameters()]},
        {"params": [ranker.query_scale, ranker.gate], "weight_decay": 0.0},
        {"params": ranker.probability_head.parameters(), "lr": _PROBABILITY_LEARNING_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    batches = max(1, len(candidates.items) // _BATCH)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _EPOCHS * batches)
    for _ in range(_EPOCHS):
        for rows in _draw_batches(candidates, np.arange(len(candidates.items)), batches, random):
            optimizer.zero_grad()
            batch = _take_batch(vectors, candidates, rows)
            loss = _compute_loss(ranker, *batch, texts, weights[rows], np.arange(len(rows)))
            loss.backward()
            optimizer.step()
            decay.step()
    return ranker.eval()


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
    inputs = ranker.join_inputs(
        torch.from_numpy(vectors.profiles[rows]),
        torch.from_numpy(vectors.items[candidates.items[rows, columns]])[:, None],
        torch.from_numpy(candidates.features[rows, columns])[:, None],
    )
    ranker.standardise(inputs[:, 0])


def _compute_loss(
    ranker: Ranker, vectors: TargetVectors, candidates: Candidates, texts: Tensor, weights: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> Tensor:  # fmt: skip
    score, chances = run_ranker(ranker, vectors, candidates, texts, rows)
    shown, label = torch.from_numpy(candidates.shown[rows]), torch.from_numpy(candidates.label[rows])
    wanted = torch.from_numpy(candidates.together[rows]) & shown
    listwise = _compare_with_others(score, wanted, shown & ~wanted) * torch.from_numpy(weights[rows])
    bought = torch.from_numpy(candidates.bought[rows])
    labels = torch.stack([label, label & bought.unsqueeze(-1)], -1).float()
    binary = functional.binary_cross_entropy_with_logits(chances, labels, reduction="none").sum(-1)
    weighted = (binary * torch.from_numpy(candidates.weight[rows])).sum(-1)
    reachable = wanted.any(1)
    return (listwise * reachable).sum() / reachable.sum().clamp(min=1) + weighted.mean()


def _compare_with_others(score: Tensor, wanted: Tensor, others: Tensor) -> Tensor:
    """`[rows]`: mean cross-entropy of each wanted item among itself and the others."""
    rest = score.masked_fill(~others, -1e4).logsumexp(-1, keepdim=True)
    loss = functional.softplus(rest - score)
    return (loss * wanted).sum(-1) / wanted.sum(-1).clamp(min=1)
