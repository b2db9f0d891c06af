"""What a release knows of the catalogue: items, their vectors, popularity and lenders, prices, words."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from portrait.features import release as files
from portrait.features.events import Item
from portrait.features.keywords import keywords
from portrait.features.text import item_text
from portrait.training.run import TrainedRun


def write(trained: TrainedRun, folder: Path) -> None:
    """Write the index of a release into its folder."""
    items = trained.corpus.items
    with (folder / files.ITEMS).open("w", encoding="utf-8") as lines:
        for item in items:
            lines.write(json.dumps(_fields(item), ensure_ascii=False) + "\n")
    np.save(folder / files.ITEM_VECTORS, trained.index.vectors)
    np.save(folder / files.ITEM_POPULARITY, trained.index.popularity)
    trained.index.lenders.save(folder / files.LENDERS)
    trained.associations.save(folder / files.ASSOCIATIONS)
    (folder / files.PRICE_SCALE).write_text(json.dumps(trained.corpus.price_scale.to_json(), ensure_ascii=False))
    (folder / files.KEYWORDS).write_text(json.dumps(_words(items), ensure_ascii=False))


def _fields(item: Item) -> dict[str, object]:
    return {name: getattr(item, name) for name in Item.__slots__}


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
