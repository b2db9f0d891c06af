"""Releases with any number of items, made of a real one: its items, then variations of them.

A variation is a real item's vector moved as far and in such a direction as two of its neighbours lie apart, so that
vectors lie as thick and as thin as the real ones do, in as few dimensions. Its category is the item it varies, its
brand and price are drawn. A fifth of the variations are cold items. Real items keep their relations.
Profiles are what the release's own graph says of histories that follow these.
"""

import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from portrait.export import nearest
from portrait.export.index import write_items
from portrait.export.nearest import Retrieval
from portrait.features.candidates.associations import Associations
from portrait.features.candidates.cold_start import MAX_NEIGHBOURS, ColdStartNeighbours
from portrait.features.candidates.item_pairs import write_item_pairs
from portrait.features.candidates.item_statistics import POPULARITY, scale_popularity
from portrait.features.candidates.relations import Relations
from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType, Item
from portrait.features.files.integrity import sha256
from portrait.features.histories.history_arrays import (
    build_event_columns,
    encode_history,
    find_encoded_slots,
    pad_histories,
)
from portrait.features.items.prices import PriceScale
from portrait.features.population.profile_distribution import ProfileDistribution, write_profile_distribution
from portrait.features.release import layout as release_layout
from portrait.features.release.layout import MODELS
from portrait.server.release.release import Release

_NEIGHBOURS = 20
_NOW = datetime.now(UTC)
_COLD_SHARE = 0.2
_CATEGORIES, _BRANDS = 200, 20_000
_HISTORY = 6


def write_synthetic_release(source: Path, target: Path, count: int, dimension: int | None = None) -> Retrieval:
    """Write a model repository whose release 1 has so many items; return its retrieval.

    Args:
        source: the model repository whose newest release is varied.
        target: the new one's folder.
        count: items.
        dimension: of the vectors, turned into a larger space in which all of them are as near as before; the graphs do
            not fit it. None for the release's own.
    """
    real = Release.load(source, release_layout.list_releases(source)[-1])
    folder = release_layout.release_folder(target, 1)
    folder.mkdir(parents=True)
    for name in (release_layout.TOKENIZER, release_layout.DOCUMENT_FREQUENCIES, release_layout.POPULATION):
        shutil.copy(release_layout.release_folder(source, real.number) / name, folder)
    random = np.random.default_rng(count)
    varied = np.concatenate([np.arange(len(real.items)), random.integers(len(real.items), size=count)])[:count]
    items = list(_make_items(real, varied, random))
    others = varied[[item.catalogue != DEFAULT_CATALOGUE for item in items]]
    write_item_pairs((), folder / release_layout.ITEM_PAIRS)
    np.save(folder / release_layout.SENTENCE_VECTORS, real.find_sentence_vectors(others))
    scale = PriceScale.fit([item.category_path for item in items], np.array([item.price for item in items]))
    write_items(items, scale, folder)
    (folder / release_layout.PRICE_SCALE).write_text(json.dumps(scale.to_json()), encoding="utf-8")
    new = random.random(count) < _COLD_SHARE
    new[: len(real.items)] = False
    _draw_neighbours(new, random).save(folder / release_layout.COLD_START_NEIGHBOURS)
    np.save(folder / release_layout.ITEM_STATISTICS, _draw_statistics(real, varied, new, random))
    _select_relations(real.relations, count).save(folder / release_layout.RELATIONS)
    turned = _make_rotation(real.dimension, dimension or real.dimension, random)
    vectors = _vary_vectors(real, varied, np.arange(count) >= len(real.items), random) @ turned

    def profiles(count: int) -> NDArray[np.float32]:
        return _encode_profiles(source, real, count, random) @ turned

    if real.profiles is not None:
        write_profile_distribution(
            _rotate_profiles(real.profiles, turned), folder / release_layout.PROFILE_DISTRIBUTION
        )
    told = nearest.write(vectors, profiles, folder)
    written = release_layout.list_files(folder) + _link_models(source, target, real.number)
    replace(
        real.manifest, release=1, created_at=datetime.now(UTC).isoformat(), dimension=vectors.shape[1],
        hashes={str(path.relative_to(target)): sha256(path) for path in written}, statistics=[], traits=[],
        export=real.manifest.export | {"retrieval": asdict(told)},
    ).write(folder)  # fmt: skip
    return told


def draw_vectors(source: Path, count: int, profiles: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw vectors of so many items, and profiles."""
    real, random = Release.load(source, release_layout.list_releases(source)[-1]), np.random.default_rng(count)
    vectors = _vary_vectors(real, random.integers(len(real.items), size=count), np.ones(count, dtype=bool), random)
    return vectors, _encode_profiles(source, real, profiles, random)


def _rotate_profiles(profiles: ProfileDistribution, turned: NDArray[np.float32]) -> ProfileDistribution:
    """Rotate the distribution of profiles into the larger space."""
    return ProfileDistribution(
        profiles.mean @ turned, turned.T @ profiles.covariance @ turned, profiles.item_mean @ turned
    )


def _make_rotation(own: int, dimension: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Make a rotation into a larger space, `[own, dimension]`; the identity if the dimensions are equal."""
    if own == dimension:
        return np.eye(own, dtype=np.float32)
    turned, _ = np.linalg.qr(random.normal(size=(dimension, own)))
    return np.ascontiguousarray(turned.T, dtype=np.float32)


def _make_items(real: Release, varied: NDArray[np.int64], random: np.random.Generator) -> Iterator[Item]:
    prices = np.round(random.lognormal(3.0, 1.0, len(varied)), 2).tolist()
    brands = random.zipf(1.2, len(varied)) % _BRANDS
    for row, (of, price, brand) in enumerate(zip(varied.tolist(), prices, brands.tolist(), strict=True)):
        item = real.items[of]
        path = (f"Department {of % _CATEGORIES}", f"Shelf {of}")
        item_id, title = (item.item_id, item.title) if row == of else (f"v{row}", f"{item.title}, number {row}")
        yield Item(item_id, title, category_path=path, brand=f"Brand {brand}", price=price)


def _vary_vectors(
    real: Release, varied: NDArray[np.int64], moved: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.float32]:
    """Return the vectors of the base items, moved for the variations."""
    own = np.asarray(real.vectors, dtype=np.float32)
    vectors = own[varied]
    one, other = random.integers(1, _NEIGHBOURS, size=(2, int(moved.sum())))
    base, place = np.unique(varied[moved], return_inverse=True)
    _, near = faiss.knn(own[base], own, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    vectors[moved] += own[near[place, one]] - own[near[place, other]]
    towers = vectors.reshape(len(vectors), real.manifest.subspaces, -1)
    towers /= np.linalg.norm(towers, axis=-1, keepdims=True) * np.float32(real.manifest.subspaces**0.5)
    return vectors


def _encode_profiles(source: Path, real: Release, count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Encode profiles of histories in which each item is associated with the item before."""
    session = onnxruntime.InferenceSession(release_layout.model_file(source, "profile_encoder", real.number))
    starts, follow = real.relations.association.starts, real.relations.association.items
    profiles = []
    for first in random.choice(np.flatnonzero(np.diff(starts)), count).tolist():
        rows = [first]
        while len(rows) < _HISTORY and starts[rows[-1]] < starts[rows[-1] + 1]:
            rows.append(int(follow[random.integers(starts[rows[-1]], starts[rows[-1] + 1])]))
        columns = build_event_columns([Event("", EventType.VIEW)] * len(rows), lambda _: math.nan)
        told = encode_history(columns, find_encoded_slots(columns), _NOW)
        inputs = {"event_embedding": np.asarray(real.vectors)[rows][None], **vars(pad_histories([told], len(rows)))}
        profiles.append(session.run(["profile"], inputs)[0][0])
    return np.stack(profiles)


def _draw_neighbours(new: NDArray[np.bool_], random: np.random.Generator) -> ColdStartNeighbours:
    neighbours = ColdStartNeighbours.of_known_items(np.arange(len(new)))
    neighbours.rows[new] = random.choice(np.flatnonzero(~new), (int(new.sum()), MAX_NEIGHBOURS))
    neighbours.weights[new] = 1.0 / MAX_NEIGHBOURS
    return neighbours


def _draw_statistics(
    real: Release, varied: NDArray[np.int64], new: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a popularity for each item; the other statistics are those of the item that it varies."""
    statistics = np.where(new[:, None], np.float32(0.0), real.statistics[varied])
    drawn = random.zipf(1.5, len(varied)).clip(0, 1e6)
    statistics[:, POPULARITY] = scale_popularity(np.where(new, 0.0, drawn))
    return statistics


def _select_relations(real: Relations, count: int) -> Relations:
    """Select the weights between items that exist in the new release."""
    return Relations({name: _select_weights(matrix, count) for name, matrix in real.by_name.items()})


def _select_weights(real: Associations, count: int) -> Associations:
    of = np.repeat(np.arange(len(real.starts) - 1), np.diff(real.starts))
    there = (of < count) & (real.items < count)
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(of[there], minlength=count), out=starts[1:])
    return Associations(starts, real.items[there], real.weights[there], real.decay)


def _link_models(source: Path, target: Path, release: int) -> list[Path]:
    """Link the same graphs into the new repository, by hard links if the file system has them."""
    made = []
    for model in MODELS:
        path, graph = release_layout.model_file(target, model, 1), release_layout.model_file(source, model, release)
        path.parent.mkdir(parents=True)
        shutil.copy(source / model / "config.pbtxt", target / model)
        try:
            os.link(graph, path)
        except OSError:
            shutil.copy(graph, path)
        made.append(path)
    return made
