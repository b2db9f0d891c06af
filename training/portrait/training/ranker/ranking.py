"""Candidates as serving builds them, and the ranker fitted on targets that the encoders never learnt from."""

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
"""Items drawn uniformly beside the candidates, to stand for the rest of the catalogue."""
RANKER_SHARE = 0.1
MAX_RANKER_TARGETS = 4_000
SIMULATED_COLD_SHARE = 0.1
"""Share of the known items that look like cold items while the ranker is fitted, so that it learns their worth. It
then expects a cold item to be wanted as often as a known item with equally similar text."""

_EPOCHS, _BATCH, _LEARNING_RATE, _PROBABILITY_LEARNING_RATE, _WEIGHT_DECAY = 20, 64, 3e-3, 3e-2, 1e-3
_PURCHASES = (EVENT_TYPE_CODES[EventType.PURCHASE],)


def choose_ranker_targets(corpus: Corpus, holdout: Holdout, seed: int) -> NDArray[np.int64]:
    """The last tenth of the training events, one at least, of a tenth of the shoppers who came back.

    Each can be predicted: its shopper did something strictly earlier. They are kept from the encoders, so that the
    ranker learns how far these can be trusted with what they have not seen.
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
    """`[targets, candidates]`: retrieved, cold items, associated, familiar, then uniformly drawn ones."""
    features: NDArray[np.float32]
    """`[targets, candidates, len(CANDIDATE_FEATURES)]`."""
    shown: NDArray[np.bool_]
    """`[targets, candidates]`: whether serving would rank it."""
    weight: NDArray[np.float32]
    """`[targets, candidates]`: how many items of the catalogue it stands for."""
    label: NDArray[np.bool_]
    """`[targets, candidates]`: whether it is the target."""
    bought: NDArray[np.bool_]
    """`[targets]`: whether the target was bought, not only acted on."""
    query: NDArray[np.int64]
    """`[targets]`: text of the search that the target followed at once, -1 if none."""


def choose_simulated_cold(item_counts: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Rows of the known items that look like cold items while a ranker is fitted."""
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
    """Candidates of each target, as serving would retrieve them, and a sample of the rest of the catalogue."""
    retrieved = rank_catalogue(corpus, vectors, NEAREST_CANDIDATES, holdout.mask_seen)
    newest = rank_catalogue(corpus, vectors, COLD_CANDIDATES, holdout.mask_seen, np.flatnonzero(index.is_cold))
    width = retrieved.shape[1] + newest.shape[1] + ASSOCIATED_CANDIDATES + FAMILIAR_CANDIDATES + UNIFORM_ITEMS + 1
    shape = (len(vectors.targets), width)
    items = np.full(shape, -1)
    features = np.zeros((*shape, len(CANDIDATE_FEATURES)), dtype=np.float32)
    shown, weight = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.float32)
    query = np.full(len(vectors.targets), -1)
    for row, target in enumerate(vectors.targets.tolist()):
        start, end = int(corpus.shopper_start[target]), int(corpus.context_end[target])
        associated = associations.score_history(corpus.event_item[start:end], corpus.columns.time[start:end])
        asked = corpus.event_item[end - 1] == NO_ITEM
        ranked = _served_items(corpus, holdout, index, np.append(retrieved[row], newest[row]), associated, target)
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
        if asked:
            query[row] = corpus.event_text[end - 1]
        features[row, : len(chosen)] = _candidate_features(
            corpus, index, chosen, associated, start, end, target, query[row] >= 0
        )
    targets = corpus.event_item[vectors.targets]
    return Candidates(
        items, features, shown, weight, items == targets[:, None],
        np.isin(corpus.columns.type_code[vectors.targets], _PURCHASES), query,
    )  # fmt: skip


def _served_items(
    corpus: Corpus,
    holdout: Holdout,
    index: ItemIndex,
    nearest: NDArray[np.int64],
    associated: AssociatedItems,
    target: int,
) -> NDArray[np.int64]:
    """Return the items that serving would rank, each once: nearest, associated and familiar ones."""
    # Associations know no cold items, and are not to know those that only look like it.
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
    ranker: Ranker, vectors: TargetVectors, chosen: Candidates, texts: Tensor, rows: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Scores `[rows, candidates]` and log-odds `[rows, candidates, 2]` of some targets.

    Args:
        ranker: the ranker.
        vectors: profiles and items.
        chosen: candidates of all targets.
        texts: `[texts, dimension]`, embeddings of the corpus' texts.
        rows: which targets.
    """
    query = chosen.query[rows]
    asked = texts[torch.from_numpy(np.maximum(query, 0))] * torch.from_numpy(query >= 0).unsqueeze(-1)
    return ranker.logits(
        torch.from_numpy(vectors.profiles[rows]),
        asked,
        torch.from_numpy(vectors.items[chosen.items[rows]]),
        torch.from_numpy(chosen.features[rows]),
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
    """Fit a ranker: order by a softmax over what serving would rank, probabilities by weighted cross-entropy.

    `click` is the chance that the candidate is the item the shopper acts on next in any way, `purchase` that it
    is the one bought next; both against the whole catalogue, of which the uniformly drawn items stand for the
    part that was not retrieved. The binary cross-entropy is the usual one of click models. `weights`, `[targets]`,
    are for the order alone: the chances are of what happens, position bias and all.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    ranker = Ranker(scale, 1.0 / len(corpus.items))
    chosen = build_candidates(corpus, holdout, vectors, index, associations, random)
    if not (chosen.query >= 0).any():
        # Nobody asked for anything, so nothing can be fitted: what is asked for counts as much as what is liked.
        ranker.query_scale.data.fill_(scale)
    # The chances are linear and start at a prior that is far off for popular items: they take longer steps.
    ordering = [value for name, value in ranker.named_parameters() if not name.startswith("probability_head")]
    groups: list[dict[str, Any]] = [
        {"params": ordering},
        {"params": ranker.probability_head.parameters(), "lr": _PROBABILITY_LEARNING_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=_EPOCHS)
    for _ in range(_EPOCHS):
        for rows in np.array_split(random.permutation(len(chosen.items)), max(1, len(chosen.items) // _BATCH)):
            optimizer.zero_grad()
            loss = _compute_loss(ranker, vectors, chosen, texts, weights, rows)
            loss.backward()
            optimizer.step()
        decay.step()
    return ranker.eval()


def _compute_loss(
    ranker: Ranker, vectors: TargetVectors, chosen: Candidates, texts: Tensor, weights: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> Tensor:  # fmt: skip
    score, chances = run_ranker(ranker, vectors, chosen, texts, rows)
    shown, label = torch.from_numpy(chosen.shown[rows]), torch.from_numpy(chosen.label[rows])
    reachable = (shown & label).any(1)
    listwise = -(score.masked_fill(~shown, -1e4).log_softmax(-1) * (label & shown)).sum(-1)
    bought = torch.from_numpy(chosen.bought[rows])
    labels = torch.stack([label, label & bought.unsqueeze(-1)], -1).float()
    binary = functional.binary_cross_entropy_with_logits(chances, labels, reduction="none").sum(-1)
    weighted = (binary * torch.from_numpy(chosen.weight[rows])).sum(-1)
    listwise = listwise * torch.from_numpy(weights[rows])
    return (listwise * reachable).sum() / reachable.sum().clamp(min=1) + weighted.mean()
