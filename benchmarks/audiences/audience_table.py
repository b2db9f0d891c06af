"""Generated audience tables, with the columns of `portrait build-audience-table` and values from a seed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.profiles.interests import MAX_INTERESTS
from portrait.server.audiences.table import CHUNK_ROWS, TableDescription, encode_key, list_columns, write_description
from portrait.server.release.release import Release
from portrait.server.sensitivity.topic_file import read_topic_policy
from portrait.server.timestamps import to_microseconds

NOW = datetime(2026, 11, 1, tzinfo=UTC)
_DAYS = 365
_PATHS = 5_000
"""Nodes of the taxonomy that a large shop has."""


def make_taxonomy(release: Release) -> list[tuple[str, ...]]:
    """Return the taxonomy's nodes of the release, then generated ones up to `_PATHS`."""
    own = {item.category_path[:depth] for item in release.items for depth in range(1, len(item.category_path) + 1)}
    made = ((f"Department {number % 50}", f"Category {number}") for number in range(_PATHS))
    return [*sorted(own), *made][:_PATHS]


def write_table(release: Release, state: str, shoppers: int, seed: int, folder: Path) -> TableDescription:
    """Write a table of a release.

    Half of the shoppers have fewer than ten interests; nodes are as unevenly liked as in Zipf's law. Profiles lie
    round the release's own mean, if it has statistics. `state` is the identity of the store with their consents.
    """
    rng = np.random.default_rng(seed)
    paths = make_taxonomy(release)
    traits = [trait.name for trait in release.traits if not trait.absent]
    description = TableDescription(
        release=release.number,
        snapshot=1,
        created_at=NOW.isoformat(),
        shoppers=shoppers,
        dimension=release.dimension,
        traits=traits,
        paths=[list(path) for path in paths],
        last_arrival=0,
        oldest_as_of=to_microseconds(NOW),
        newest_as_of=to_microseconds(NOW),
        state=state,
        policy=read_topic_policy(None).identity,
    )
    width = len(encode_key(format_shopper_id(0)))
    columns = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=(shoppers, *shape))
        for name, (dtype, shape) in list_columns(description, width).items()
        if 0 not in shape
    }
    if not traits:
        np.save(folder / "trait.npy", np.zeros((shoppers, 0), dtype="<f4"))
    for begin in range(0, shoppers, CHUNK_ROWS):
        rows = slice(begin, min(begin + CHUNK_ROWS, shoppers))
        for name, values in _draw_chunk(rng, rows, description, release).items():
            if name in columns:
                columns[name][rows] = values
    write_description(description, folder)
    return description


def format_shopper_id(number: int) -> str:
    """Format the id of a shopper, as long as a UUID."""
    return f"{number:032x}"


def _draw_chunk(
    rng: np.random.Generator, rows: slice, description: TableDescription, release: Release
) -> dict[str, NDArray[Any] | Sequence[bytes]]:
    count = rows.stop - rows.start
    places = rng.zipf(1.2, size=(count, MAX_INTERESTS)) % len(description.paths) + 1
    had = np.arange(MAX_INTERESTS) < rng.integers(1, MAX_INTERESTS + 1, size=(count, 1))
    valued = rng.random(count) < 0.8
    vector = rng.normal(size=(count, description.dimension)).astype(np.float32) * 0.05
    if release.profiles is not None:
        vector += release.profiles.mean
    last = to_microseconds(NOW) - (rng.random(count) * _DAYS * timedelta(days=1).total_seconds() * 1e6).astype(np.int64)
    return {
        "shopper": [encode_key(format_shopper_id(number)) for number in range(rows.start, rows.stop)],
        "as_of": np.full(count, to_microseconds(NOW)),
        "last_event": last,
        "tier": np.where(valued, rng.integers(1, 5, count), 0),
        "segment": np.where(valued, rng.integers(1, 6, count), 0),
        **{
            f"{name}_score": np.where(valued, rng.integers(1, 6, count), 0)
            for name in ("recency", "frequency", "monetary")
        },
        "interest_path": np.where(had, places, 0),
        "interest_weight": np.where(had, rng.random((count, MAX_INTERESTS)), 0.0),
        "trait": np.where(
            rng.random((count, len(description.traits))) < 0.9, rng.random((count, len(description.traits))), np.nan
        ),
        "vector": vector / np.linalg.norm(vector, axis=1, keepdims=True),
    }
