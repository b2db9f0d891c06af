"""The adaptation of the base model: what a step learns from, what is kept of the base model, and who decides."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny_data
from torch.nn import Parameter

from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.dataset.splits import Holdout, hold_out
from portrait.training.devices import CPU
from portrait.training.encoders import domain_adaptation
from portrait.training.encoders.domain_adaptation import adapt_base_model, interpolate, settle_finetuning
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.encoders.text_ranking import TextRanking
from portrait.training.enums import FineTuning, Preset, Split, TrainingPrecision
from portrait.training.run.untrained_model import make_untrained_model
from portrait.training.settings import TrainSettings


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def holdout(corpus: Corpus) -> Holdout:
    return hold_out(corpus, Split.LOO)


def _settings(bert: Path, **chosen: object) -> TrainSettings:
    exact = {"base_model": str(bert), "dimension": 16, "precision": TrainingPrecision.FP32, "bert_learning_rate": 1e-3}
    return TrainSettings.from_preset(Preset.QUICK, **(exact | chosen))


def _adapt(
    corpus: Corpus,
    holdout: Holdout,
    settings: TrainSettings,
    run: Path,
    resume: bool = False,
    weight: float | None = 1.0,
) -> tuple[float, PortraitModel, TextCache]:
    model, cache, _ = make_untrained_model(corpus, holdout, settings, CPU)
    targets = holdout.learnt(corpus)
    chosen = adapt_base_model(model, cache, corpus, holdout, targets, settings, run, resume, weight)
    return chosen, model, cache


def _weights(model: PortraitModel) -> list[torch.Tensor]:
    return [each.detach().clone() for each in model.text.bert.parameters()]


def test_interpolation_goes_the_named_share_of_the_way() -> None:
    parameter, base, trained = Parameter(torch.zeros(3)), torch.tensor([0.0, 1.0, 2.0]), torch.tensor([4.0, 1.0, 0.0])
    for weight, expected in ((0.0, base), (0.5, torch.tensor([2.0, 1.0, 1.0])), (1.0, trained)):
        interpolate([parameter], [base], [trained], weight)
        torch.testing.assert_close(parameter.detach(), expected, rtol=0, atol=0)
    assert parameter.requires_grad


def test_adaptation_finds_next_items_better_by_text_alone(
    corpus: Corpus, holdout: Holdout, bert: Path, tmp_path: Path
) -> None:
    ranking = TextRanking(corpus, holdout, 0)
    settings = _settings(bert, finetune=FineTuning.AUTO)
    model, cache, _ = make_untrained_model(corpus, holdout, settings, CPU)
    cache.recompute()
    before = ranking.measure(cache.pooled.numpy()).mean()
    chosen, model, cache = _adapt(corpus, holdout, settings, tmp_path, weight=None)
    cache.recompute()
    assert ranking.measure(cache.pooled.numpy()).mean() > 1.1 * before
    assert chosen in domain_adaptation.CANDIDATE_WEIGHTS
    assert settle_finetuning(model, settings, chosen).finetune is FineTuning.FULL


def test_an_adaptation_of_no_use_leaves_the_base_model_and_freezes_it(
    corpus: Corpus, holdout: Holdout, bert: Path, tmp_path: Path
) -> None:
    settings = _settings(bert, finetune=FineTuning.AUTO, bert_learning_rate=1e-12)
    untrained = _weights(make_untrained_model(corpus, holdout, settings, CPU)[0])
    chosen, model, cache = _adapt(corpus, holdout, settings, tmp_path, weight=None)
    cache.encode_missing()
    outputs = cache.pooled.clone()
    cache.recompute()
    torch.testing.assert_close(outputs, cache.pooled, rtol=0, atol=1e-5)
    assert chosen == 0.0
    for value, expected in zip(_weights(model), untrained, strict=True):
        torch.testing.assert_close(value, expected, rtol=0, atol=0)
    assert settle_finetuning(model, settings, chosen).finetune is FineTuning.FROZEN
    assert not any(each.requires_grad for each in model.text.bert.parameters())


@pytest.mark.parametrize("finetune", [each for each in FineTuning if each is not FineTuning.FROZEN])
def test_a_stopped_adaptation_goes_on_where_it_was(
    corpus: Corpus, holdout: Holdout, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finetune: FineTuning
) -> None:
    monkeypatch.setattr(domain_adaptation, "_CHECKPOINT_STEPS", 2)
    settings = _settings(bert, finetune=finetune, adaptation_steps=5)
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    _, whole, _ = _adapt(corpus, holdout, settings, tmp_path / "whole")

    step = domain_adaptation.DomainAdapter._train_step

    def stop(self: domain_adaptation.DomainAdapter, *arguments: object) -> None:
        if self._step == 3:
            raise KeyboardInterrupt
        step(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(domain_adaptation.DomainAdapter, "_train_step", stop)
        with pytest.raises(KeyboardInterrupt):
            _adapt(corpus, holdout, settings, tmp_path / "stopped")
    for _ in range(2):  # the second time, there is nothing left to do
        _, resumed, _ = _adapt(corpus, holdout, settings, tmp_path / "stopped", resume=True)
        for value, expected in zip(_weights(resumed), _weights(whole), strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)


def test_steps_in_chunks_have_the_gradients_of_a_step_in_one(
    corpus: Corpus, holdout: Holdout, bert: Path, tmp_path: Path
) -> None:
    """The gradients of one step, as clipped and given to the optimiser, for any number of texts in memory at once."""
    found = []
    for texts in (0, 1, 7):
        settings = _settings(bert, gradient_checkpointing_texts=texts, adaptation_steps=1)
        _, model, _ = _adapt(corpus, holdout, settings, tmp_path)
        found.append([each.grad for each in model.text.bert.parameters() if each.grad is not None])
    whole, *chunked = found
    assert len(whole) > 10
    assert sum(float(each.abs().sum()) for each in whole) > 0.0
    for gradients in chunked:
        for value, expected in zip(gradients, whole, strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)


def test_a_frozen_base_model_is_not_adapted(corpus: Corpus, holdout: Holdout, bert: Path, tmp_path: Path) -> None:
    chosen, _, _ = _adapt(corpus, holdout, _settings(bert, finetune=FineTuning.FROZEN), tmp_path, weight=None)
    assert chosen == 0.0
    assert not list(tmp_path.iterdir())


def test_ranking_by_texts_finds_what_equals_the_history(corpus: Corpus, holdout: Holdout) -> None:
    """Vectors that are equal within a category rank the category's items first."""
    ranking = TextRanking(corpus, holdout, 0)
    names = ["lamps", "chairs", "tables", "rugs"]
    vectors = np.array([[name in text for name in names] for text in corpus.texts], dtype=np.float32)
    random = np.random.default_rng(0).normal(size=(len(corpus.texts), 4)).astype(np.float32)
    assert ranking.measure(vectors).mean() > 2 * ranking.measure(random).mean()
