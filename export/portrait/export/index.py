"""What a release knows of its catalogue (items, vectors, popularity, lenders, prices, words) and of its shoppers."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.export import nearest
from portrait.export.nearest import Retrieval
from portrait.features import release as files
from portrait.features.events import Item
from portrait.features.items import ItemTable, mapped, write_lines
from portrait.features.keywords import keywords
from portrait.features.population import write_profiles
from portrait.features.prices import PriceScale
from portrait.features.text import item_text
from portrait.training.dataset.corpus import NO_ITEM
from portrait.training.encoders.retrieval import encode_targets
from portrait.training.population import statistics as population
from portrait.training.run.run import TrainedRun


def write(trained: TrainedRun, folder: Path) -> Retrieval:
    """Write the index of a release into its folder; returns how the nearest items are found."""
    items, scale = trained.corpus.items, trained.corpus.price_scale
    write_items(items, scale, folder)
    np.save(folder / files.ITEM_POPULARITY, trained.index.popularity)
    trained.index.lenders.save(folder / files.LENDERS)
    trained.associations.save(folder / files.ASSOCIATIONS)
    (folder / files.PRICE_SCALE).write_text(json.dumps(scale.to_json(), ensure_ascii=False), encoding="utf-8")
    (folder / files.KEYWORDS).write_text(json.dumps(_words(items), ensure_ascii=False), encoding="utf-8")
    population.fit(trained).write(folder / files.POPULATION)
    write_profiles(population.profiles(trained), folder / files.PROFILES)
    return nearest.write(
        trained.index.vectors, lambda count: _profiles(trained, count), folder, exact=nearest.EXACT_ITEMS
    )


def write_items(items: Sequence[Item], scale: PriceScale, folder: Path) -> None:
    """Write items and their columns into a release's folder."""
    write_lines(items, folder / files.ITEMS)
    ItemTable.of(mapped(folder / files.ITEMS), scale).save(folder)


def _profiles(trained: TrainedRun, count: int) -> NDArray[np.float32]:
    """Profiles at moments that training knows; fewer where events have none before them."""
    learnt = np.flatnonzero(trained.holdout.train & (trained.corpus.event_item != NO_ITEM))
    random = np.random.default_rng(trained.settings.seed)
    moments = np.sort(random.choice(learnt, min(count, len(learnt)), replace=False))
    return encode_targets(trained.model, trained.cache, trained.corpus, moments, trained.index.vectors).profiles


def _words(items: list[Item]) -> dict[str, object]:
    documents, frequencies = document_frequencies(items)
    return {"documents": documents, "frequencies": frequencies}


def document_frequencies(items: list[Item]) -> tuple[int, dict[str, int]]:
    """How many distinct texts the items have, and in how many of them each stem occurs."""
    texts = {item_text(item) for item in items}
    frequencies: Counter[str] = Counter()
    for text in texts:
        frequencies.update({keyword.stem for keyword in keywords(text)})
    return len(texts), dict(frequencies)
