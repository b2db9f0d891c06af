"""Every way of fine-tuning: what trains, and that the exported graph is the model that was trained."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny_data
from transformers import DistilBertConfig, RobertaConfig

from portrait.export import parity
from portrait.export.graphs import Graph, ServedTextEncoder, export
from portrait.export.precision import Precision
from portrait.training.encoders.peft import (
    ADALORA_INITIAL_RANK,
    LORA_RANK,
    apply_finetuning,
    finetuning_after_merge,
    merge_adapters,
)
from portrait.training.encoders.rank_budget import RankBudget
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.enums import FineTuning, Preset
from portrait.training.errors import TrainingError
from portrait.training.settings import BERT_LEARNING_RATES, TrainSettings

pytestmark = pytest.mark.slow

DIMENSION = 16
TRAINED = {
    FineTuning.FULL: r".*",
    FineTuning.LORA: r".*\.lora_[AB]\..*",
    FineTuning.ADALORA: r".*\.lora_[ABE]\..*",
    FineTuning.IA3: r".*\.ia3_l\..*",
    FineTuning.PREFIX: r"adapted\.prompt_encoder\..*",
    FineTuning.FROZEN: r"(?!)",
    FineTuning.AUTO: r".*",
}
"""Names of the parameters that train, all of which do."""
LOADED = [
    *(("bert", tuning) for tuning in FineTuning),
    *(("gpt", tuning) for tuning in FineTuning if tuning is not FineTuning.AUTO),
    ("roberta", FineTuning.PREFIX),
    ("distilbert", FineTuning.LORA),
    ("distilbert", FineTuning.ADALORA),
]
EXPORTED = {
    ("bert", False): FineTuning.LORA,
    ("bert", True): FineTuning.PREFIX,
    ("gpt", False): FineTuning.ADALORA,
    ("gpt", True): FineTuning.PREFIX,
    ("roberta", True): FineTuning.PREFIX,
    ("distilbert", False): FineTuning.LORA,
}
"""One way of fine-tuning for each structure that is loaded: a base model, and whether it has a prefix."""


@pytest.fixture(scope="module")
def base_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("base_models")
    words = len(tiny_data.VOCABULARY)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    roberta = RobertaConfig(vocab_size=words, max_position_embeddings=80, **shape)
    distilbert = DistilBertConfig(vocab_size=words, dim=32, n_layers=2, n_heads=2, hidden_dim=64)
    return {
        "bert": tiny_data.write_bert(folder / "bert"),
        "gpt": tiny_data.write_gpt(folder / "gpt"),
        "roberta": tiny_data.write_base_model(folder / "roberta", roberta),
        "distilbert": tiny_data.write_base_model(folder / "distilbert", distilbert),
    }


def _encoder(base_model: Path, tuning: FineTuning, pretrained: bool = True) -> TextEncoder:
    torch.manual_seed(0)
    encoder = TextEncoder(str(base_model), DIMENSION, pretrained=pretrained)
    encoder.bert = apply_finetuning(encoder.bert, tuning)
    return encoder.eval()


def _trained(encoder: TextEncoder, steps: int = 8) -> TextEncoder:
    """Taught by a few large steps to tell random texts apart."""
    ids, mask = _texts(encoder)
    chosen = [parameter for parameter in encoder.bert.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(chosen, 0.05) if chosen else None
    for _ in range(steps if optimizer else 0):
        optimizer.zero_grad()
        (encoder(ids, mask) @ encoder(ids, mask).T).square().mean().backward()
        optimizer.step()
    return encoder


def _texts(encoder: TextEncoder) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(4, encoder.vocabulary_size, (5, 9), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([[9], [4], [1], [7], [9]])
    return ids, (torch.arange(9) < lengths).long()


def _vectors(encoder: TextEncoder) -> np.ndarray:
    with torch.no_grad():
        return encoder(*_texts(encoder)).numpy()


@pytest.mark.parametrize("tuning", FineTuning)
def test_only_the_method_s_own_parameters_train(base_models: dict[str, Path], tuning: FineTuning) -> None:
    encoder = _encoder(base_models["bert"], tuning)
    before = {name: value.clone() for name, value in encoder.bert.state_dict().items()}
    _trained(encoder)
    moved = {name for name, value in encoder.bert.state_dict().items() if not torch.equal(value, before[name])}
    trainable = {name for name, parameter in encoder.bert.named_parameters() if parameter.requires_grad}
    assert trainable == {name for name, _ in encoder.bert.named_parameters() if re.fullmatch(TRAINED[tuning], name)} - {
        name for name in before if "ranknum" in name
    }
    # BERT's pooler is for tasks that are not ours, and keys have a bias that softmax cancels.
    assert {name for name in trainable if "pooler" not in name and "key.bias" not in name} <= moved <= trainable


@pytest.mark.parametrize(("base_model", "tuning"), LOADED)
def test_what_is_loaded_is_what_was_trained(
    base_models: dict[str, Path], tmp_path: Path, base_model: str, tuning: FineTuning
) -> None:
    encoder = _encoder(base_models[base_model], tuning)
    untrained = _vectors(encoder)
    expected = _vectors(_trained(encoder))
    assert (tuning is FineTuning.FROZEN) == np.allclose(expected, untrained, atol=1e-3)
    loaded = _merge_and_load(encoder, base_models[base_model], tuning, tmp_path)
    np.testing.assert_allclose(_vectors(encoder), expected, atol=1e-5)
    np.testing.assert_allclose(_vectors(loaded), expected, atol=1e-5)
    exported = EXPORTED[base_model, tuning is FineTuning.PREFIX]
    plain = _encoder(base_models[base_model], finetuning_after_merge(exported), pretrained=False)
    assert repr(loaded) == repr(plain), "of a structure whose export is tested below"


def _merge_and_load(encoder: TextEncoder, base_model: Path, tuning: FineTuning, folder: Path) -> TextEncoder:
    """Merge an encoder's adapters, save it and load it, as a run does."""
    encoder.bert = merge_adapters(encoder.bert)
    torch.save(encoder.state_dict(), folder / "model.pt")
    loaded = _encoder(base_model, finetuning_after_merge(tuning), pretrained=False)
    loaded.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    return loaded


@pytest.mark.parametrize(("base_model", "tuning"), [(name, tuning) for (name, _), tuning in EXPORTED.items()])
def test_what_is_exported_is_what_was_trained(
    base_models: dict[str, Path], tmp_path: Path, base_model: str, tuning: FineTuning
) -> None:
    encoder = _trained(_encoder(base_models[base_model], tuning))
    loaded = _merge_and_load(encoder, base_models[base_model], tuning, tmp_path)
    axes = ("n", "tokens")
    graph = Graph(
        "text_encoder",
        ServedTextEncoder(loaded),
        {"input_ids": axes, "attention_mask": axes},
        {"embedding": ("n", "dimension"), "sentence_embedding": ("n", "hidden")},
    )
    export(graph, DIMENSION, Precision.FP32, tmp_path / "model.onnx")
    check = parity.check_runtime(graph, tmp_path / "model.onnx", DIMENSION, Precision.FP32)
    assert check.difference < 1e-4


def test_padding_leaves_vectors_alone_and_words_their_places(base_models: dict[str, Path]) -> None:
    """Whatever comes before it, a text of one BERT has nearly the same vector: a new prefix says nothing yet."""
    for base_model in ("bert", "gpt", "roberta"):
        plain, prefixed = (
            _encoder(base_models[base_model], tuning) for tuning in (FineTuning.FROZEN, FineTuning.PREFIX)
        )
        prefixed.project.load_state_dict(plain.project.state_dict())
        cosines = (_vectors(plain) * _vectors(prefixed)).sum(1)
        assert cosines.min() > 0.9, base_model
        ids, mask = _texts(prefixed)
        with torch.no_grad():
            alone = prefixed(ids[1:2, :4], mask[1:2, :4])
        np.testing.assert_allclose(alone[0], _vectors(prefixed)[1], atol=1e-5)


@pytest.mark.parametrize("tuning", [FineTuning.IA3, FineTuning.PREFIX])
def test_a_tuning_that_does_not_fit_the_base_model_is_refused(base_models: dict[str, Path], tuning: FineTuning) -> None:
    with pytest.raises(TrainingError, match=f"--finetune {tuning} does not fit"):
        _encoder(base_models["distilbert"], tuning)


def _ranks(bert: torch.nn.Module) -> int:
    return sum(int((value != 0).sum()) for name, value in bert.named_parameters() if "lora_E" in name)


def _adalora_steps(encoder: TextEncoder, budget: RankBudget, steps: range) -> None:
    ids, mask = _texts(encoder)
    chosen = [parameter for parameter in encoder.bert.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(chosen, 0.05)
    for step in steps:
        optimizer.zero_grad()
        ((encoder(ids, mask) @ encoder(ids, mask).T).square().mean() + budget.orthogonality_penalty()).backward()
        optimizer.step()
        budget.allocate(step)


def test_adalora_spends_its_budget_and_goes_on_from_a_checkpoint(base_models: dict[str, Path]) -> None:
    whole = _encoder(base_models["bert"], FineTuning.ADALORA)
    budget = RankBudget(whole.bert, 20)
    layers = sum("lora_E" in name for name, _ in whole.bert.named_parameters())
    _adalora_steps(whole, budget, range(1))
    assert _ranks(whole.bert) == ADALORA_INITIAL_RANK * layers
    _adalora_steps(whole, budget, range(1, 20))
    assert _ranks(whole.bert) <= LORA_RANK * layers

    first = _encoder(base_models["bert"], FineTuning.ADALORA)
    stopped = RankBudget(first.bert, 20)
    _adalora_steps(first, stopped, range(12))
    second = _encoder(base_models["bert"], FineTuning.ADALORA)
    second.load_state_dict(first.state_dict())
    resumed = RankBudget(second.bert, 20)
    resumed.load_state_dict(stopped.state_dict())
    _adalora_steps(second, resumed, range(12, 20))
    np.testing.assert_allclose(_vectors(second), _vectors(whole), atol=1e-6)


def test_each_tuning_has_a_rate_of_its_own_that_the_caller_may_name() -> None:
    for tuning, rate in BERT_LEARNING_RATES.items():
        assert TrainSettings.from_preset(Preset.BEST, finetune=tuning).bert_learning_rate == rate
    assert (
        TrainSettings.from_preset(Preset.QUICK, finetune=FineTuning.LORA, bert_learning_rate=0.5).bert_learning_rate
        == 0.5
    )
