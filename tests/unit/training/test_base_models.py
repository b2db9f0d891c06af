"""Any encoder or decoder as the base model: how its texts end, and what stands for a text."""

from pathlib import Path

import numpy as np
import pytest
import tiny_data
import torch
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

from portrait.features.tokens import MAXIMUM_TOKENS, TextTokenizer
from portrait.training.errors import TrainingError
from portrait.training.models.base_model import base_tokenizer
from portrait.training.models.text_encoder import TextEncoder

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
    tokenizer = base_tokenizer(str(tiny_data.write_gpt(tmp_path / "gpt")))
    end = tiny_data.VOCABULARY["[SEP]"]
    rows = tokenizer.token_ids(["red lamps", "", "red " * 200])
    assert rows[0] == [tiny_data.VOCABULARY["red"], tiny_data.VOCABULARY["lamps"], end]
    assert rows[1] == [end]
    assert (len(rows[2]), rows[2][-1]) == (MAXIMUM_TOKENS, end)
    tokenizer.save(tmp_path / "tokenizer.json")
    assert TextTokenizer.load(tmp_path / "tokenizer.json").token_ids(["red lamps", ""]) == rows[:2]
    batch = tokenizer.pad(rows[:2])
    np.testing.assert_array_equal(batch.attention_mask, [[1, 1, 1], [1, 0, 0]])


def test_a_tokenizer_that_can_t_stand_for_an_empty_text_is_refused(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    folder = tiny_data.write_gpt(tmp_path / "gpt")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]").save_pretrained(folder)
    with pytest.raises(TrainingError, match="none that ends one"):
        base_tokenizer(str(folder))


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    from transformers import T5Config

    config = T5Config(vocab_size=WORDS, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)
    with pytest.raises(TrainingError, match="reads no texts of 64 tokens by itself"):
        _encoder(config, tmp_path)
