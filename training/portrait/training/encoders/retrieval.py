"""Profiles and item vectors of a trained model, and the full ranking of a catalogue for held-out targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from portrait.features.events import Item
from portrait.features.histories.history_arrays import MAX_ENCODED_SLOTS, compute_ages
from portrait.features.items.sentence_vectors import average_fields, list_fields
from portrait.features.search.largest import find_largest
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.devices import to_device
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.samples import Batcher, build_serving_samples, build_windows, find_first_events
from portrait.training.metrics import MISSED

_BATCH_SLOTS = 8192
"""Slots that are encoded at once, padding included."""
_BATCH_ITEMS = 16384


@dataclass(frozen=True)
class TargetVectors:
    """Vectors of all items and of some targets' shoppers, in the space of one release."""

    items: NDArray[np.float32]
    """`[items, dimension]`."""
    profiles: NDArray[np.float32]
    """`[targets, dimension]`: the profile of each target's shopper at the target's time."""
    targets: NDArray[np.int64]
    """Events to predict, ascending."""


@torch.no_grad()
def encode_items(model: PortraitModel, cache: TextCache, corpus: Corpus) -> NDArray[np.float32]:
    """`[items, dimension]`, unit length."""
    rows = np.array_split(np.arange(len(corpus.items)), range(_BATCH_ITEMS, len(corpus.items), _BATCH_ITEMS))
    return np.concatenate([model.encode_items(cache, corpus, part).cpu().numpy() for part in rows])


@torch.no_grad()
def embed_texts(model: PortraitModel, cache: TextCache) -> Tensor:
    """`[texts, dimension]`: embeddings of the corpus' texts, on the CPU."""
    return model.text.head(cache.pooled).cpu()


def encode_sentences(cache: TextCache, items: Sequence[Item]) -> NDArray[np.float32]:
    """Encode items in general language: `[items, hidden]`, unit length.

    Args:
        cache: its encoder encodes the items' fields.
        items: some items, of the corpus or not.
    """
    fields = [list_fields(item) for item in items]
    rows = {text: row for row, text in enumerate(dict.fromkeys(chain.from_iterable(fields)))}
    texts = cache.share_encoder(list(rows))
    texts.recompute()
    places = np.array([rows[text] for text in chain.from_iterable(fields)], dtype=np.int64)
    return average_fields(functional.normalize(texts.pooled, dim=-1).cpu().numpy()[places], list(map(len, fields)))


@torch.no_grad()
def encode_targets(
    model: PortraitModel,
    cache: TextCache,
    corpus: Corpus,
    targets: NDArray[np.int64],
    items: NDArray[np.float32] | None = None,
) -> TargetVectors:
    """Profiles at the time of held-out targets; targets with no earlier event are left out.

    Args:
        model: the encoders.
        cache: the corpus' texts.
        corpus: events and items.
        targets: events to predict.
        items: `[items, dimension]`, vectors of an index; None for the model's own.
    """
    model.eval()
    samples = build_serving_samples(corpus, targets)
    profiles = np.zeros((len(samples), model.residual.embedding_dim), dtype=np.float32)
    batcher = Batcher(corpus, samples, _BATCH_SLOTS, max_pairs=1)
    random = np.random.default_rng(0)
    for windows in batcher.split_epoch(random):
        profiles[windows] = model.encode_profiles(cache, corpus, batcher.build_batch(windows, random)).cpu().numpy()
    return TargetVectors(encode_items(model, cache, corpus) if items is None else items, profiles, samples.target)


def find_masked_items(corpus: Corpus, target: int) -> NDArray[np.int64]:
    """Items that a ranking leaves out where seen ones are masked: those of the target's context.

    None if the context ends with a search: who searches for a known item wants it.
    """
    seen = corpus.event_item[corpus.shopper_start[target] : corpus.context_end[target]]
    if not len(seen) or seen[-1] == NO_ITEM:
        return np.empty(0, dtype=np.int64)
    return np.unique(seen[seen != NO_ITEM])


def rank_catalogue(
    corpus: Corpus, vectors: TargetVectors, k: int, mask_seen: bool, among: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """`[targets, k]`: the best items of the whole catalogue for each target's shopper, best first.

    Args:
        corpus: the events.
        vectors: profiles and items.
        k: how many; fewer come where there are not so many items.
        mask_seen: put the target's `find_masked_items` behind all others.
        among: ascending rows of the items that are ranked; None for all.
    """
    rows = np.arange(len(vectors.items)) if among is None else among
    items = vectors.items if among is None else vectors.items[among]
    place = np.full(len(vectors.items), -1)
    place[rows] = np.arange(len(rows))
    ranked = []
    for begin in range(0, len(vectors.targets), 512):
        part = slice(begin, begin + 512)
        scores = vectors.profiles[part] @ items.T
        if mask_seen:
            for row, target in enumerate(vectors.targets[part].tolist()):
                masked = place[find_masked_items(corpus, target)]
                scores[row, masked[masked >= 0]] = -np.inf
        ranked.append(rows[select_top(scores, k)])
    return np.concatenate(ranked) if ranked else np.zeros((0, k), dtype=np.int64)


def select_top(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """`[rows, items]` → `[rows, k]`, the best items of each row, best first."""
    k = min(k, scores.shape[1])
    if not k:
        return np.zeros((len(scores), 0), dtype=np.int64)
    part = find_largest(scores, k)
    order = np.argsort(-np.take_along_axis(scores, part, 1), axis=1, kind="stable")
    return np.take_along_axis(part, order, 1)


def find_ranks(ranked: NDArray[np.int64], target_items: NDArray[np.int64]) -> NDArray[np.int64]:
    """0-based rank of each row's target, `MISSED` where the row does not hold it."""
    hits = ranked == target_items[:, None]
    return np.where(hits.any(1), hits.argmax(1), MISSED)


@torch.no_grad()
def encode_shoppers(
    model: PortraitModel, cache: TextCache, corpus: Corpus, ends: NDArray[np.int64], as_of: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Profiles of shoppers at moments, `[moments, dimension]`, as serving computes them.

    Args:
        model: the encoders.
        cache: the corpus' texts.
        corpus: events and items.
        ends: `[moments]`: the end of each history; it has at least one event.
        as_of: `[moments]`, seconds since 1970; no event of the history is later.
    """
    model.eval()
    slots = corpus.event_slot[ends - 1] + 1
    first = find_first_events(corpus, corpus.shopper_start[ends - 1], slots)
    gaps = compute_ages(corpus.columns.time[ends - 1], as_of)
    order = np.argsort(slots - corpus.event_slot[first], kind="stable")
    profiles = np.zeros((len(ends), model.residual.embedding_dim), dtype=np.float32)
    for rows in np.array_split(order, max(1, len(order) * MAX_ENCODED_SLOTS // _BATCH_SLOTS)):
        if not len(rows):
            continue
        states = model.encode_states(cache, corpus, build_windows(corpus, first[rows], slots[rows]))
        profiles[rows] = model.profile.head(states[:, -1], to_device(gaps[rows], model.device)).cpu().numpy()
    return profiles
