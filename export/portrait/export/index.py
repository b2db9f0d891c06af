"""A release's knowledge of its catalogue (items, vectors, relations, pairs, prices, words) and its shoppers."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.export import nearest
from portrait.export.nearest import Retrieval
from portrait.features.candidates.item_pairs import write_item_pairs
from portrait.features.events import DEFAULT_CATALOGUE, Item
from portrait.features.items.item_table import ItemTable, map_file, write_item_lines
from portrait.features.items.prices import PriceScale
from portrait.features.population.profile_distribution import write_profile_distribution
from portrait.features.release import layout as release_layout
from portrait.features.search.word_index import WordIndex
from portrait.features.text.idf import count_document_frequencies
from portrait.training.encoders.retrieval import encode_sentences, encode_targets
from portrait.training.population import statistics as population
from portrait.training.population.item_pairs import find_item_pairs
from portrait.training.run.run import TrainedRun


def write(trained: TrainedRun, folder: Path) -> Retrieval:
    """Write the index of a release into its folder; returns how the nearest items are found."""
    items, scale = trained.corpus.items, trained.corpus.price_scale
    write_items(items, scale, folder)
    others = [item for item in items if item.catalogue != DEFAULT_CATALOGUE]
    np.save(folder / release_layout.SENTENCE_VECTORS, encode_sentences(trained.cache, others))
    np.save(folder / release_layout.ITEM_STATISTICS, trained.index.statistics)
    trained.index.neighbours.save(folder / release_layout.COLD_START_NEIGHBOURS)
    trained.relations.save(folder / release_layout.RELATIONS)
    (folder / release_layout.PRICE_SCALE).write_text(json.dumps(scale.to_json(), ensure_ascii=False), encoding="utf-8")
    (folder / release_layout.DOCUMENT_FREQUENCIES).write_text(
        json.dumps(_words(items), ensure_ascii=False), encoding="utf-8"
    )
    shoppers = population.estimate_population(trained)
    shoppers.write(folder / release_layout.POPULATION)
    learnt, seed = trained.holdout.learnt(trained.corpus), trained.settings.seed
    write_item_pairs(
        find_item_pairs(trained.corpus, learnt, shoppers.session_gap_minutes, seed), folder / release_layout.ITEM_PAIRS
    )
    write_profile_distribution(
        population.estimate_profile_distribution(trained), folder / release_layout.PROFILE_DISTRIBUTION
    )
    return nearest.write(trained.index.vectors, lambda count: _profiles(trained, count), folder)


def write_items(items: Sequence[Item], scale: PriceScale, folder: Path) -> None:
    """Write items, their columns and their words into a release's folder."""
    write_item_lines(items, folder / release_layout.ITEMS)
    ItemTable.from_lines(map_file(folder / release_layout.ITEMS), scale).save(folder)
    WordIndex.from_items(items).save(folder)


def _profiles(trained: TrainedRun, count: int) -> NDArray[np.float32]:
    """Profiles at moments that training knows; fewer where events have none before them."""
    learnt = trained.holdout.learnt(trained.corpus)
    random = np.random.default_rng(trained.settings.seed)
    moments = np.sort(random.choice(learnt, min(count, len(learnt)), replace=False))
    return encode_targets(trained.model, trained.cache, trained.corpus, moments, trained.index.vectors).profiles


def _words(items: list[Item]) -> dict[str, object]:
    documents, frequencies = count_document_frequencies(items)
    return {"documents": documents, "frequencies": frequencies}
