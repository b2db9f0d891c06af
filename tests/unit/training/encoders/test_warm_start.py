"""A warm start: weights between untrained and earlier ones, and nothing of what hangs on single items."""

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
    pooled = torch.arange(32.0) + torch.arange(len(corpus.texts)).unsqueeze(1)
    return WarmStart(weights, pooled, corpus.texts, kept, whole_steps=9, whole_seconds=None, share=0.25)


def _begin(start: WarmStart, corpus: Corpus, base: Path, texts: list[str]) -> tuple[PortraitModel, TextCache]:
    model, cache = _make(corpus, base, seed=1)
    start.blend_bert(model, cache, texts)
    start.blend_others(model)
    return model, cache


@pytest.mark.parametrize("kept", [0.0, 0.25, 1.0])
def test_all_weights_but_the_residuals_go_the_same_share_of_the_way(corpus: Corpus, base: Path, kept: float) -> None:
    earlier, _ = _make(corpus, base, seed=0)
    with torch.no_grad():
        next(earlier.text.bert.parameters()).add_(1.0)
    untrained, _ = _make(corpus, base, seed=1)
    model, _ = _begin(_start(earlier, corpus, kept), corpus, base, corpus.texts)
    for name, value in model.state_dict().items():
        share = 0.0 if name == "residual.weight" else kept
        expected = torch.lerp(untrained.state_dict()[name], earlier.state_dict()[name], share)
        torch.testing.assert_close(value, expected, msg=name)
    assert not torch.equal(untrained.residual.weight, earlier.residual.weight)


def test_outputs_of_the_base_model_are_taken_over_only_where_it_is_the_same(corpus: Corpus, base: Path) -> None:
    earlier, _ = _make(corpus, base, seed=0)
    start = _start(earlier, corpus, 0.5)
    order = np.arange(len(corpus.texts))[::-1]
    _, cache = _begin(start, corpus, base, [corpus.texts[row] for row in order])
    cache.encode_missing()
    torch.testing.assert_close(cache.pooled, start.pooled[order.copy()])
    with torch.no_grad():
        next(earlier.text.bert.parameters()).add_(1.0)
    changed = _start(earlier, corpus, 0.5)
    _, cache = _begin(changed, corpus, base, corpus.texts)
    cache.encode_missing()
    assert not torch.isclose(cache.pooled, changed.pooled).all(1).any()


def test_weights_of_another_model_are_refused(corpus: Corpus, base: Path) -> None:
    start = _start(_make(corpus, base, seed=0)[0], corpus, 0.5)
    other = dataclasses.replace(start, weights={**start.weights, "scale": torch.zeros(3)})
    with pytest.raises(TrainingError, match="'scale'"):
        _begin(other, corpus, base, corpus.texts)


def test_a_share_of_the_steps_is_taken_one_at_least(corpus: Corpus, base: Path) -> None:
    start = _start(_make(corpus, base, seed=0)[0], corpus, 0.5)
    assert start.steps == 2
    assert dataclasses.replace(start, whole_steps=1).steps == 1
