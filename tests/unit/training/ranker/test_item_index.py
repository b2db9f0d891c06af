"""The item index: cold items borrow, in the index as in the model's own vectors, and known items stay themselves."""

import numpy as np
import pytest
import torch
from support import tiny_data

from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.retrieval import encode_items
from portrait.training.enums import Preset
from portrait.training.ranker import item_index as indexes
from portrait.training.ranker.ranking import choose_simulated_cold
from portrait.training.settings import TrainSettings

NEW = [1, 5]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=12, events=10))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_data.write_bert(tmp_path_factory.mktemp("bert")))


@pytest.fixture
def counts(corpus: Corpus) -> np.ndarray:
    counts = np.arange(1.0, len(corpus.items) + 1.0)
    counts[NEW] = 0.0
    return counts


@pytest.fixture
def statistics(counts: np.ndarray) -> np.ndarray:
    """Something of each item that was acted on, nothing of others."""
    random = np.random.default_rng(0)
    values = random.uniform(0.1, 1.0, (len(counts), len(ITEM_STATISTICS))).astype(np.float32)
    return np.where(counts[:, None] > 0, values, np.float32(0.0))


def _model(corpus: Corpus, bert: str, counts: np.ndarray, subspaces: int) -> tuple[PortraitModel, TextCache]:
    torch.manual_seed(0)
    settings = TrainSettings.from_preset(Preset.QUICK, base_model=bert, dimension=16, subspaces=subspaces)
    model = PortraitModel(settings, len(corpus.items)).eval()
    model.zero_residuals(counts == 0)
    tokenizer: TextTokenizer = load_tokenizer(bert)
    cache = TextCache(model.text, tokenizer, corpus.texts)
    cache.recompute()
    return model, cache


@pytest.mark.parametrize("subspaces", [1, 2])
def test_the_model_lends_what_the_index_says(
    corpus: Corpus, bert: str, counts: np.ndarray, statistics: np.ndarray, subspaces: int
) -> None:
    given = statistics.copy()
    model, cache = _model(corpus, bert, counts, subspaces)
    own = encode_items(model, cache, corpus)
    index = indexes.build_item_index(model, cache, corpus, counts, statistics)
    known = ~index.is_cold
    assert np.flatnonzero(index.is_cold).tolist() == NEW
    assert np.array_equal(index.vectors[known], own[known])
    assert not np.allclose(index.vectors[NEW], own[NEW], atol=1e-2)
    # The statistics of a cold item are the mean of its neighbours', those of others are their own.
    assert np.array_equal(index.statistics[known], statistics[known])
    lent = index.neighbours.select(np.array(NEW))
    assert np.allclose(index.statistics[NEW], (statistics[lent.rows] * lent.weights[..., None]).sum(1))
    assert (index.statistics[NEW] > 0).all()
    assert np.array_equal(statistics, given)
    indexes.fill_cold_residuals(model, cache, corpus, counts)
    assert np.allclose(encode_items(model, cache, corpus), index.vectors, atol=1e-6)
    # What is lent already is lent once.
    again = indexes.build_item_index(model, cache, corpus, counts, statistics)
    assert np.allclose(again.vectors, index.vectors, atol=1e-6)


def test_a_pretended_cold_item_looks_like_one(
    corpus: Corpus, bert: str, counts: np.ndarray, statistics: np.ndarray
) -> None:
    model, cache = _model(corpus, bert, counts, subspaces=1)
    before = counts.copy()
    index = indexes.build_item_index(model, cache, corpus, counts, statistics, simulated_cold=np.array([3]))
    assert index.is_cold[3]
    assert 3 not in index.neighbours.rows
    assert np.array_equal(counts, before)


def test_only_known_items_are_pretended_cold_items() -> None:
    counts = np.ones(200)
    counts[:50] = 0.0
    chosen = choose_simulated_cold(counts, seed=0)
    assert len(np.unique(chosen)) == 15
    assert (counts[chosen] > 0).all()
