"""Any encoder or decoder as the base model: how its texts end, and what stands for a text."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import close_session, get_session
from safetensors.torch import load_file, save_file
from support import tiny_data
from transformers import (
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    ModernBertConfig,
    PreTrainedConfig,
    RobertaConfig,
)  # fmt: skip

from portrait.features.text.tokenizer import MAX_TOKENS, TextTokenizer
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.enums import Preset
from portrait.training.errors import TrainingError
from portrait.training.run import run as runs
from portrait.training.settings import TrainSettings

WORDS = len(tiny_data.VOCABULARY)
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
ENCODERS = (
    BertConfig(vocab_size=WORDS, **SHAPE),
    RobertaConfig(vocab_size=WORDS, **SHAPE),
    DistilBertConfig(vocab_size=WORDS, dim=32, n_layers=2, n_heads=2, hidden_dim=64),
    ModernBertConfig(vocab_size=WORDS, **SHAPE, **SPECIAL),
)
DECODERS = (
    BertConfig(vocab_size=WORDS, is_decoder=True, **SHAPE),
    GPT2Config(vocab_size=WORDS, n_embd=32, n_layer=2, n_head=2),
    GPTNeoXConfig(vocab_size=WORDS, **SHAPE),
    LlamaConfig(vocab_size=WORDS, num_key_value_heads=1, **SHAPE),
)


def _named(config: PreTrainedConfig) -> str:
    return f"{config.model_type}{'-decoder' * getattr(config, 'is_decoder', False)}"


def _encoder(config: PreTrainedConfig, folder: Path) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(str(tiny_data.write_base_model(folder, config)), 16).eval()


@pytest.mark.parametrize("config", ENCODERS, ids=_named)
def test_of_an_encoder_all_tokens_stand_for_the_text(config: PreTrainedConfig, tmp_path: Path) -> None:
    encoder = _encoder(config, tmp_path)
    ids = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    with torch.no_grad():
        hidden = encoder.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = encoder.pool(ids, mask)
    torch.testing.assert_close(pooled[0], hidden[0].mean(0))
    torch.testing.assert_close(pooled[1], hidden[1, :3].mean(0))


@pytest.mark.slow
@pytest.mark.parametrize("config", DECODERS, ids=_named)
def test_of_a_decoder_the_last_token_stands_for_the_text(config: PreTrainedConfig, tmp_path: Path) -> None:
    encoder = _encoder(config, tmp_path)
    ids = torch.tensor([[4, 5, 6, 7, 3], [4, 8, 3, 0, 0], [3, 0, 0, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    with torch.no_grad():
        pooled = encoder.pool(ids, mask)
        for row, length in enumerate(mask.sum(1).tolist()):
            alone = encoder.bert(input_ids=ids[row : row + 1, :length]).last_hidden_state[0, -1]
            torch.testing.assert_close(pooled[row], alone, rtol=1e-4, atol=1e-5)


def test_a_tokenizer_without_padding_or_added_tokens_ends_texts(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_data.write_gpt(tmp_path / "gpt")))
    end = tiny_data.VOCABULARY["[SEP]"]
    rows = tokenizer.encode(["red lamps", "", "red " * 200])
    assert rows[0] == [tiny_data.VOCABULARY["red"], tiny_data.VOCABULARY["lamps"], end]
    assert rows[1] == [end]
    assert (len(rows[2]), rows[2][-1]) == (MAX_TOKENS, end)
    tokenizer.save(tmp_path / "tokenizer.json")
    assert TextTokenizer.load(tmp_path / "tokenizer.json").encode(["red lamps", ""]) == rows[:2]
    batch = tokenizer.pad(rows[:2])
    np.testing.assert_array_equal(batch.attention_mask, [[1, 1, 1], [1, 0, 0]])


def test_a_tokenizer_that_can_t_stand_for_an_empty_text_is_refused(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    folder = tiny_data.write_gpt(tmp_path / "gpt")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]").save_pretrained(folder)
    with pytest.raises(TrainingError, match="none that ends one"):
        load_tokenizer(str(folder))


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    from transformers import T5Config

    config = T5Config(vocab_size=WORDS, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)
    with pytest.raises(TrainingError, match="can't encode texts of 64 tokens"):
        _encoder(config, tmp_path)


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _with(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _configured(**changed: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps(config | changed), encoding="utf-8")

    return change


def _sentence_transformer(folder: Path) -> None:
    held = list(folder.iterdir())
    (folder / "0_Transformer").mkdir()
    for file in held:
        file.rename(folder / "0_Transformer" / file.name)
    (folder / "modules.json").write_text("[]", encoding="utf-8")


def _weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return write


def _truncated(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def _other_tokenizer(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary |= {f"further{number}": len(vocabulary) + number for number in range(50)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")


def _file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a model", encoding="utf-8")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no tokenizer": (lambda folder: [file.unlink() for file in folder.glob("tokenizer*")], "has no tokenizer"),
    "broken tokenizer": (_with("tokenizer.json", b"{"), "the tokenizer of"),
    "empty tokenizer": (_with("tokenizer.json", b""), "the tokenizer of"),
    "another tokenizer": (_other_tokenizer, "not of one model"),
    "no configuration": (_without("config.json"), "holds no config.json"),
    "broken configuration": (_with("config.json", b'{"model_type": '), "is no JSON"),
    "a list as configuration": (_with("config.json", b"[]"), "no JSON object"),
    "an empty configuration": (_with("config.json", b"{}"), "config.json of the base model"),
    "a model nobody knows": (_configured(model_type="nobody"), "config.json of the base model"),
    "an impossible size": (_configured(hidden_size=-3), "base model"),
    "another size": (_configured(hidden_size=48), "the weights of the base model"),
    "more layers": (_configured(num_hidden_layers=3), "tensors are missing"),
    "few positions": (_configured(max_position_embeddings=8), "the base model"),
    "a size that is no number": (_configured(hidden_size="large"), "base model"),
    "no weights": (_without("model.safetensors"), "the weights of"),
    "empty weights": (_with("model.safetensors", b""), "the weights of"),
    "truncated weights": (_truncated, "the weights of"),
    "no tensors": (_weights(lambda tensors: tensors.clear()), "tensors are missing"),
    "weights that are no numbers": (
        _weights(lambda tensors: tensors["embeddings.word_embeddings.weight"].fill_(math.nan)), "are no numbers",
    ),
    "an empty folder": (lambda folder: [file.unlink() for file in folder.iterdir()], "holds no config.json"),
    "a sentence-transformers layout": (_sentence_transformer, "0_Transformer"),
    "a file": (_file_in_its_place, "is a file"),
    "nothing": (shutil.rmtree, "does not exist"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_base_model_is_told_in_a_line(
    spoil: Callable[[Path], object], told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is told as training would: before a run's folder is made, and by nothing but the error."""
    data = tiny_data.write(tmp_path / "data")
    folder = tiny_data.write_bert(tmp_path / "bert")
    spoil(folder)
    capfd.readouterr()
    with pytest.raises(TrainingError) as error:
        runs.train_run(
            data, tmp_path / "run", TrainSettings.from_preset(Preset.QUICK, base_model=str(folder), dimension=16)
        )
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
    assert "".join(capfd.readouterr()) == ""


def test_a_tokenizer_that_knows_no_word_of_the_data_is_refused(tmp_path: Path) -> None:
    data = tiny_data.write(tmp_path / "data")
    folder = tiny_data.write_bert(tmp_path / "bert")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {
        token if token.startswith("[") else f"文{number}": number for token, number in vocabulary.items()
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(TrainingError, match="knows none of the words"):
        runs.train_run(
            data, tmp_path / "run", TrainSettings.from_preset(Preset.QUICK, base_model=str(folder), dimension=16)
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing", "a b", "a/b/c", "./nothing", "~/nothing", "a:b", "文"])
def test_a_name_that_can_t_be_fetched_is_told_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The hub is asked once: its own client asks six times for each file, with pauses that grow."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody is there, also where there is a network
    close_session()  # the next one reads the variable
    client = type(get_session())
    send, asked = client.send, []

    def count(self: object, request: object, **options: object) -> object:
        asked.append(request)
        return send(self, request, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "send", count)
    for load in (load_tokenizer, lambda name: TextEncoder(name, 16)):
        with pytest.raises(TrainingError) as error:
            load(name)
        assert repr(name) in str(error.value)
        assert "\n" not in str(error.value)
    assert len(asked) <= 2
    assert "".join(capfd.readouterr()) == ""
