"""A warm start: weights between untrained and earlier ones, items found by their ids, and nothing of who has left."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny_data

from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.devices import CPU
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.warm_start import WarmStart
from portrait.training.enums import FineTuning, Preset, Split
from portrait.training.errors import TrainingError
from portrait.training.run.untrained_model import make_untrained_model
from portrait.training.settings import TrainSettings


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=30))


def _make(corpus: Corpus, base: Path, seed: int) -> tuple[PortraitModel, TextCache]:
    settings = TrainSettings.from_preset(
        Preset.QUICK, base_model=str(base), dimension=16, seed=seed, finetune=FineTuning.FROZEN
    )
    model, cache, _ = make_untrained_model(corpus, hold_out(corpus, Split.LOO), settings, CPU)
    return model, cache


def _start(earlier: PortraitModel, corpus: Corpus, kept: float) -> WarmStart:
    weights = {name: value.clone() for name, value in earlier.state_dict().items()}
    pooled = torch.arange(32.0).expand(len(corpus.texts), 32)
    return WarmStart(weights, pooled, corpus, kept, whole_steps=9, whole_seconds=None, share=0.25)


def _begin(start: WarmStart, corpus: Corpus, base: Path, is_learnt: np.ndarray) -> tuple[PortraitModel, TextCache]:
    model, cache = _make(corpus, base, seed=1)
    start.blend_bert(model, cache, corpus)
    start.blend_others(model, corpus, is_learnt)
    return model, cache


@pytest.mark.parametrize("kept", [0.0, 0.25, 1.0])
def test_all_weights_go_the_same_share_of_the_way(corpus: Corpus, base: Path, kept: float) -> None:
    earlier, _ = _make(corpus, base, seed=0)
    untrained, _ = _make(corpus, base, seed=1)
    model, _ = _begin(_start(earlier, corpus, kept), corpus, base, np.ones(len(corpus.items), dtype=bool))
    for name, value in model.state_dict().items():
        expected = torch.lerp(untrained.state_dict()[name], earlier.state_dict()[name], kept)
        torch.testing.assert_close(value, expected, msg=name)
    assert not torch.equal(untrained.residual.weight, earlier.residual.weight)


def test_items_are_found_by_their_ids_and_those_without_events_start_untrained(corpus: Corpus, base: Path) -> None:
    earlier, _ = _make(corpus, base, seed=0)
    fewer = dataclasses.replace(corpus, items=corpus.items[5:], item_text=corpus.item_text[5:])
    start = _start(earlier, corpus, 1.0)
    model, _ = _make(corpus, base, seed=1)
    model.residual = torch.nn.Embedding(len(fewer.items), 16)
    untrained = model.residual.weight.detach().clone()
    is_learnt = np.arange(len(fewer.items)) != 7
    start.blend_others(model, fewer, is_learnt)
    torch.testing.assert_close(model.residual.weight[is_learnt], earlier.residual.weight[5:][is_learnt])
    assert torch.equal(model.residual.weight[7], untrained[7])
    other = dataclasses.replace(corpus, items=[dataclasses.replace(corpus.items[0], item_id="elsewhere")])
    with pytest.raises(TrainingError, match="not of the same shop"):
        start.require_common_items(other)


def test_outputs_of_the_base_model_are_taken_over_only_where_it_is_the_same(corpus: Corpus, base: Path) -> None:
    earlier, _ = _make(corpus, base, seed=0)
    everything = np.ones(len(corpus.items), dtype=bool)
    start = _start(earlier, corpus, 0.5)
    _, cache = _begin(start, corpus, base, everything)
    cache.encode_missing()
    torch.testing.assert_close(cache.pooled, start.pooled)
    with torch.no_grad():
        next(earlier.text.bert.parameters()).add_(1.0)
    changed = _start(earlier, corpus, 0.5)
    _, cache = _begin(changed, corpus, base, everything)
    cache.encode_missing()
    assert not torch.isclose(cache.pooled, changed.pooled).all(1).any()


def test_weights_of_another_model_are_refused(corpus: Corpus, base: Path) -> None:
    start = _start(_make(corpus, base, seed=0)[0], corpus, 0.5)
    other = dataclasses.replace(start, weights={**start.weights, "scale": torch.zeros(3)})
    with pytest.raises(TrainingError, match="'scale'"):
        _begin(other, corpus, base, np.ones(len(corpus.items), dtype=bool))


def test_a_share_of_the_steps_is_taken_one_at_least(corpus: Corpus, base: Path) -> None:
    start = _start(_make(corpus, base, seed=0)[0], corpus, 0.5)
    assert start.steps == 2
    assert dataclasses.replace(start, whole_steps=1).steps == 1
