"""Samples of trait heads: they hold nothing that came after their moment."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny_data

from portrait.features.events import EVENT_TYPES
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.dataset import corpus as corpora
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.encoders import retrieval
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.enums import Preset
from portrait.training.settings import TrainSettings
from portrait.training.traits.samples import HeadInputs, compute_head_inputs

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Untrained:
    corpus: Corpus
    model: PortraitModel
    cache: TextCache

    def known(self, corpus: Corpus, shopper: int, as_of: float) -> HeadInputs:
        return compute_head_inputs(self.model, self.cache, corpus, np.array([shopper]), np.array([as_of]))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Untrained:
    folder = tmp_path_factory.mktemp("traits")
    corpus = corpora.load_corpus(tiny_data.write(folder / "data", shoppers=8))
    base = str(tiny_data.write_bert(folder / "bert"))
    torch.manual_seed(0)
    model = PortraitModel(
        TrainSettings.from_preset(Preset.QUICK, base_model=base, dimension=32), len(corpus.items)
    ).eval()
    cache = TextCache(model.text, load_tokenizer(base), corpus.texts)
    cache.recompute()
    return Untrained(corpus, model, cache)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_comes_after_the_moment_changes_nothing(untrained: Untrained, data: st.DataObject) -> None:
    corpus = untrained.corpus
    shopper = data.draw(st.integers(0, len(corpus.shopper_ids) - 1))
    start, end = corpus.starts[shopper : shopper + 2].tolist()
    as_of = corpus.columns.time[data.draw(st.integers(start, end - 1))] + data.draw(st.floats(0, 3)) * SECONDS_PER_DAY
    later = np.flatnonzero(corpus.columns.time[start:end] > as_of) + start
    before = untrained.known(corpus, shopper, as_of)
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    after = untrained.known(_changed(corpus, later, as_of, random), shopper, as_of)
    np.testing.assert_array_equal(before.profile, after.profile)
    np.testing.assert_array_equal(before.statistics, after.statistics)


def _changed(corpus: Corpus, events: np.ndarray, as_of: float, random: np.random.Generator) -> Corpus:
    """The corpus with some later events of a shopper made into others, no earlier than before."""
    columns = dataclasses.replace(
        corpus.columns, time=corpus.columns.time.copy(), type_code=corpus.columns.type_code.copy()
    )
    columns.time[events] = np.sort(as_of + 1.0 + random.exponential(1e6, len(events)))
    columns.type_code[events] = random.integers(1, len(EVENT_TYPES) + 1, len(events))
    item, text, money = corpus.event_item.copy(), corpus.event_text.copy(), corpus.event_spent.copy()
    item[events] = random.integers(0, len(corpus.items), len(events))
    text[events] = corpus.item_text[item[events]]
    money[events] = random.exponential(100.0, len(events))
    return dataclasses.replace(corpus, columns=columns, event_item=item, event_text=text, event_spent=money)


def test_an_earlier_event_changes_something(untrained: Untrained) -> None:
    corpus = untrained.corpus
    moment = corpus.columns.time[corpus.starts[1] - 1]
    before = untrained.known(corpus, 0, moment)
    changed = _changed(corpus, np.array([corpus.starts[1] - 1]), moment - 2.0, np.random.default_rng(0))
    after = untrained.known(changed, 0, moment)
    assert not np.array_equal(before.profile, after.profile)


def test_profiles_are_those_of_the_ranking(untrained: Untrained) -> None:
    corpus = untrained.corpus
    targets = np.flatnonzero((corpus.event_item != NO_ITEM) & (corpus.context_end > corpus.shopper_start))[::7]
    wanted = retrieval.encode_targets(untrained.model, untrained.cache, corpus, targets)
    found = retrieval.encode_shoppers(
        untrained.model, untrained.cache, corpus, corpus.context_end[targets], corpus.columns.time[targets]
    )
    np.testing.assert_allclose(found, wanted.profiles, atol=1e-5)


def test_declared_moments_may_fall_on_an_event(untrained: Untrained) -> None:
    corpus = untrained.corpus
    at = untrained.known(corpus, 0, corpus.columns.time[0])
    assert np.expm1(at.statistics[0, 1]) == pytest.approx(0.0, abs=1e-6)
