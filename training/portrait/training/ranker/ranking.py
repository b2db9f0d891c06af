"""The fit of the ranker: candidates as serving generates them, for targets that the encoders never learnt from.

On events that the encoders learnt from, their scores look better than they are; a ranker fitted there would trust
them too much.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from portrait.features.candidates.associations import AssociatedItems, Associations
from portrait.features.candidates.candidate_features import (
    ASSOCIATED_CANDIDATES,
    CANDIDATE_FEATURES,
    COLD_CANDIDATES,
    FAMILIAR_CANDIDATES,
    NEAREST_CANDIDATES,
    compute_candidate_features,
    summarise_interactions,
)
from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.encoders.retrieval import TargetVectors, find_masked_items, rank_catalogue
from portrait.training.ranker.item_index import ItemIndex
from portrait.training.ranker.model import Ranker

UNIFORM_ITEMS = 32
"""Items per target that are drawn uniformly besides the candidates, to represent the rest of the catalogue."""
RANKER_SHARE = 0.1
"""Share of the shoppers, and of each one's training events, that give targets for the ranker."""
MAX_RANKER_TARGETS = 4_000
SIMULATED_COLD_SHARE = 0.1
"""Share of the known items that are treated as cold items while the ranker is fitted. Real cold items have no events
to learn from; by these, the ranker learns how often an item is wanted that has only a similar text."""

_EPOCHS, _BATCH, _LEARNING_RATE, _PROBABILITY_LEARNING_RATE, _WEIGHT_DECAY = 20, 64, 3e-3, 3e-2, 1e-3
_PURCHASES = (EVENT_TYPE_CODES[EventType.PURCHASE],)


def choose_ranker_targets(corpus: Corpus, holdout: Holdout, seed: int) -> NDArray[np.int64]:
    """Choose the ranker's targets: the last tenth of the training events, at least one, of a tenth of the shoppers.

    Only shoppers whose last training event has earlier events are drawn, and only such events are targets. The
    encoders do not learn from these events.
    """
    random = np.random.default_rng(seed)
    events = np.flatnonzero(holdout.train & (corpus.event_item != NO_ITEM))
    _, first, counts = np.unique(corpus.event_shopper[events], return_index=True, return_counts=True)
    ends = first + counts
    returned = np.flatnonzero(corpus.has_context[events[ends - 1]])
    chosen = random.choice(returned, min(len(returned), max(1, int(RANKER_SHARE * len(returned)))), replace=False)
    lengths = np.maximum(1, (RANKER_SHARE * counts).astype(np.int64))
    targets = np.concatenate([events[:0], *(events[ends[each] - lengths[each] : ends[each]] for each in chosen)])
    targets = targets[corpus.has_context[targets]]
    if len(targets) > MAX_RANKER_TARGETS:
        targets = random.choice(targets, MAX_RANKER_TARGETS, replace=False)
    return np.sort(targets)


@dataclass(frozen=True)
class Candidates:
    """The ranker's input for some targets. Rows are padded with item -1, whose weight is 0."""

    items: NDArray[np.int64]
    """`[targets, candidates]`: nearest, cold, associated and familiar items, the target if none of these is it, then
    items drawn uniformly."""
    features: NDArray[np.float32]
    """`[targets, candidates, len(CANDIDATE_FEATURES)]`."""
    shown: NDArray[np.bool_]
    """`[targets, candidates]`: True if serving would rank the item."""
    weight: NDArray[np.float32]
    """`[targets, candidates]`: number of items of the catalogue that the item represents."""
    label: NDArray[np.bool_]
    """`[targets, candidates]`: True for the target."""
    bought: NDArray[np.bool_]
    """`[targets]`: True if the target's event is a purchase."""
    query: NDArray[np.int64]
    """`[targets]`: text row of the search directly before the target, -1 if there is none."""


def choose_simulated_cold(item_counts: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Choose the known items, by row, that are treated as cold items while the ranker is fitted."""
    known = np.flatnonzero(item_counts)
    return np.random.default_rng(seed).choice(known, int(SIMULATED_COLD_SHARE * len(known)), replace=False)


def build_candidates(
    corpus: Corpus,
    holdout: Holdout,
    vectors: TargetVectors,
    index: ItemIndex,
    associations: Associations,
    random: np.random.Generator,
) -> Candidates:
    """Build the candidates of each target as serving does, and add a uniform sample of the rest of the catalogue."""
    retrieved = rank_catalogue(corpus, vectors, NEAREST_CANDIDATES, holdout.mask_seen)
    cold = rank_catalogue(corpus, vectors, COLD_CANDIDATES, holdout.mask_seen, np.flatnonzero(index.is_cold))
    width = retrieved.shape[1] + cold.shape[1] + ASSOCIATED_CANDIDATES + FAMILIAR_CANDIDATES + UNIFORM_ITEMS + 1
    shape = (len(vectors.targets), width)
    items = np.full(shape, -1)
    features = np.zeros((*shape, len(CANDIDATE_FEATURES)), dtype=np.float32)
    shown, weight = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.float32)
    query = np.full(len(vectors.targets), -1)
    for row, target in enumerate(vectors.targets.tolist()):
        start, end = int(corpus.shopper_start[target]), int(corpus.context_end[target])
        associated = associations.score_history(corpus.event_item[start:end], corpus.columns.time[start:end])
        follows_search = corpus.event_item[end - 1] == NO_ITEM
        ranked = _list_served_items(corpus, holdout, index, np.append(retrieved[row], cold[row]), associated, target)
        drawn = np.setdiff1d(random.integers(0, len(corpus.items), UNIFORM_ITEMS), ranked)
        drawn = drawn[drawn != corpus.event_item[target]]
        missed = np.setdiff1d(corpus.event_item[target], ranked)
        chosen = np.concatenate([ranked, missed, drawn])
        items[row, : len(chosen)] = chosen
        shown[row, : len(ranked)] = True
        weight[row, : len(ranked) + len(missed)] = 1.0
        weight[row, len(ranked) + len(missed) : len(chosen)] = (len(corpus.items) - len(ranked) - len(missed)) / max(
            1, len(drawn)
        )
        if follows_search:
            query[row] = corpus.event_text[end - 1]
        features[row, : len(chosen)] = _candidate_features(
            corpus, index, chosen, associated, start, end, target, query[row] >= 0
        )
    targets = corpus.event_item[vectors.targets]
    return Candidates(
        items, features, shown, weight, items == targets[:, None],
        np.isin(corpus.columns.type_code[vectors.targets], _PURCHASES), query,
    )  # fmt: skip


def _list_served_items(
    corpus: Corpus,
    holdout: Holdout,
    index: ItemIndex,
    nearest: NDArray[np.int64],
    associated: AssociatedItems,
    target: int,
) -> NDArray[np.int64]:
    """Return the items that serving would rank, each once: nearest, associated and familiar ones."""
    # Associations know no cold items, so they must not find the items that are treated as cold either.
    best = associated.rows_by_score()
    best = best[~index.is_cold[best]]
    known = corpus.event_item[corpus.shopper_start[target] : corpus.context_end[target]][::-1]
    familiar = np.array(list(dict.fromkeys(known[known != NO_ITEM].tolist()))[:FAMILIAR_CANDIDATES], dtype=np.int64)
    if holdout.mask_seen:
        masked = find_masked_items(corpus, target)
        nearest, best, familiar = (rows[~np.isin(rows, masked)] for rows in (nearest, best, familiar))
    together = np.concatenate([nearest, best[:ASSOCIATED_CANDIDATES], familiar])
    _, first = np.unique(together, return_index=True)
    return together[np.sort(first)]


def _candidate_features(
    corpus: Corpus, index: ItemIndex, items: NDArray[np.int64], associated: AssociatedItems,
    start: int, end: int, target: int, has_query: bool,
) -> NDArray[np.float32]:  # fmt: skip
    known = corpus.event_item[start:end].tolist()
    remembered = summarise_interactions(
        [None if item == NO_ITEM else str(item) for item in known],
        corpus.columns.time[start:end].tolist(),
        corpus.columns.price_percentile[start:end],
    )
    return compute_candidate_features(
        [str(item) for item in items.tolist()],
        index.popularity[items],
        index.is_cold[items],
        corpus.item_percentile[items],
        index.neighbours.select(items).average_associations(associated),
        remembered,
        float(corpus.columns.time[target]),
        has_query,
    )


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
    corpus: Corpus,
    holdout: Holdout,
    vectors: TargetVectors,
    index: ItemIndex,
    associations: Associations,
    texts: Tensor,
    weights: NDArray[np.float32],
    scale: float,
    seed: int,
) -> Ranker:
    """Fit a ranker: the order by a softmax over the items that serving ranks, the probabilities by cross-entropy.

    `click` is the probability that the candidate is the item on which the shopper acts next in any way, `purchase`
    that it is the one bought next. Both are over the whole catalogue: the uniformly drawn items represent the part
    that was not retrieved, by their weight in the binary cross-entropy. `weights`, `[targets]`, correct position bias
    and apply to the order only; the probabilities predict what happens, position bias included.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    ranker = Ranker(scale, 1.0 / len(corpus.items))
    candidates = build_candidates(corpus, holdout, vectors, index, associations, random)
    if not (candidates.query >= 0).any():
        # No target follows a search, so the weight of queries can't be fitted: set it equal to that of profiles.
        ranker.query_scale.data.fill_(scale)
    # The probability heads are linear and start at a prior that is far off for popular items: they need larger steps.
    ordering = [value for name, value in ranker.named_parameters() if not name.startswith("probability_head")]
    groups: list[dict[str, Any]] = [
        {"params": ordering},
        {"params": ranker.probability_head.parameters(), "lr": _PROBABILITY_LEARNING_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=_EPOCHS)
    for _ in range(_EPOCHS):
        for rows in np.array_split(random.permutation(len(candidates.items)), max(1, len(candidates.items) // _BATCH)):
            optimizer.zero_grad()
            loss = _compute_loss(ranker, vectors, candidates, texts, weights, rows)
            loss.backward()
            optimizer.step()
        decay.step()
    return ranker.eval()


def _compute_loss(
    ranker: Ranker, vectors: TargetVectors, candidates: Candidates, texts: Tensor, weights: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> Tensor:  # fmt: skip
    score, chances = run_ranker(ranker, vectors, candidates, texts, rows)
    shown, label = torch.from_numpy(candidates.shown[rows]), torch.from_numpy(candidates.label[rows])
    reachable = (shown & label).any(1)
    listwise = -(score.masked_fill(~shown, -1e4).log_softmax(-1) * (label & shown)).sum(-1)
    bought = torch.from_numpy(candidates.bought[rows])
    labels = torch.stack([label, label & bought.unsqueeze(-1)], -1).float()
    binary = functional.binary_cross_entropy_with_logits(chances, labels, reduction="none").sum(-1)
    weighted = (binary * torch.from_numpy(candidates.weight[rows])).sum(-1)
    listwise = listwise * torch.from_numpy(weights[rows])
    return (listwise * reachable).sum() / reachable.sum().clamp(min=1) + weighted.mean()
