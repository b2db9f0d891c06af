"""Profiles of a few shoppers in words, for a person to read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl

from portrait.features.events import Event, EventType, Item
from portrait.features.generators import run_to_completion
from portrait.features.items.item_table import ItemTable, format_item_line
from portrait.features.population.population import Population
from portrait.features.text.idf import InverseDocumentFrequency, count_document_frequencies
from portrait.server.profiles.profile import ALL_FIELDS, ModelOutputs, build_profile
from portrait.server.release.release import Release
from portrait.training.dataset import readers
from portrait.training.run.run import TrainedRun

_NUMBERS = ("price", "quantity", "rating", "dwell_seconds", "position")


def summarise_shoppers(data: Path, trained: TrainedRun, known: Population) -> list[dict[str, Any]]:
    """Summarise a random shopper of each third by length of history, a day after the shopper's last event."""
    corpus = trained.corpus
    release, items = _make_release(trained, known), {item.item_id: item for item in corpus.items}
    lengths = np.diff(corpus.starts)
    random = np.random.default_rng(trained.settings.seed)
    thirds = np.array_split(np.argsort(lengths, kind="stable"), 3)
    log = readers.scan_parquet(data / "events.parquet")

    def item(event: Event) -> Item | None:
        return items.get(event.item_id or "")

    found = []
    for number, third in enumerate(thirds):
        shopper = corpus.shopper_ids[int(random.choice(third))]
        rows = log.filter(pl.col("shopper_id") == shopper).sort("sequence").collect()
        history = [_make_event(place, row) for place, row in enumerate(rows.iter_rows(named=True))]
        times = [event.time for event in history if event.time is not None]
        as_of = max(times, default=datetime(1970, 1, 1, tzinfo=UTC)) + timedelta(days=1)
        made = run_to_completion(build_profile(history, as_of, item, release, ALL_FIELDS, ModelOutputs()))
        found.append(
            {
                "shopper": chr(ord("A") + number),
                "events": len(history),
                "english": [sentence.english for sentence in made.summary],
                "chinese": [sentence.chinese for sentence in made.summary],
                "absent": {name: absence.explanation for name, absence in made.absent.items()},
            }
        )
    return found


def _make_event(place: int, row: dict[str, Any]) -> Event:
    numbers = {name: row[name] for name in _NUMBERS}
    return Event(str(place), EventType(row["type"]), row["time"], row["item_id"], query=row["query"], **numbers)


def _make_release(trained: TrainedRun, known: Population) -> Release:
    """Make a release with what profiles need, without models."""
    corpus = trained.corpus
    nothing: Any = None
    return Release(
        number=1,
        manifest=cast(Any, SimpleNamespace(dimension=trained.settings.dimension, sentence_dimension=0)),
        tokenizer=nothing,
        items=ItemTable.from_lines("".join(map(format_item_line, corpus.items)).encode(), corpus.price_scale),
        words=nothing,
        vectors=nothing,
        index=None,
        sentence_vectors=nothing,
        statistics=nothing,
        neighbours=nothing,
        relations=trained.relations,
        price_scale=corpus.price_scale,
        rarity=InverseDocumentFrequency.from_counts(*count_document_frequencies(corpus.items)),
        population=known,
    )
