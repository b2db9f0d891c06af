"""A small prepared data set and a small BERT, made on the spot: what training tests run on."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

CATEGORIES = ("Lamps", "Chairs", "Tables", "Rugs")
COLOURS = ("red", "green", "blue", "white", "black")
_WORDS = (*COLOURS, *(name.lower() for name in CATEGORIES), "number", "home", "acme", ",", *map(str, range(12)))
VOCABULARY = {word: place for place, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *_WORDS))}


def write(folder: Path, shoppers: int = 60, events: int = 24, seed: int = 0) -> Path:
    """Write a canonical data set: shoppers who each stay with one category, and search before they buy."""
    random = np.random.default_rng(seed)
    items = [
        {
            "item_id": f"{category}-{number}",
            "catalogue": "products",
            "title": f"{COLOURS[number % 5]} {category.lower()} number {number}",
            "category_path": ["Home", category],
            "brand": ["Acme", None][number % 2],
            "attributes": [{"key": "colour", "value": COLOURS[number % 5]}],
            "price": float(5 + 3 * number),
        }
        for category in CATEGORIES
        for number in range(12)
    ]
    rows = [row for shopper in range(shoppers) for row in _history(shopper, events, random)]
    folder.mkdir(parents=True, exist_ok=True)
    strings = {"item_id": pl.String, "query": pl.String}
    numbers = dict.fromkeys(("price", "quantity", "rating", "dwell_seconds"), pl.Float64)
    schema = {
        "event_id": pl.String, "shopper_id": pl.String, "sequence": pl.Int32, "type": pl.String,
        "time": pl.Datetime("us", "UTC"), "catalogue": pl.String, "position": pl.Int32, **strings, **numbers,
    }  # fmt: skip
    pl.DataFrame(rows, schema=schema).write_parquet(folder / "events.parquet")
    pl.DataFrame(items).write_parquet(folder / "items.parquet")
    (folder / "report.json").write_text(json.dumps({"source": "tiny", "kept": len(rows)}), encoding="utf-8")
    return folder


def _history(shopper: int, events: int, random: np.random.Generator) -> list[dict[str, object]]:
    category = CATEGORIES[shopper % len(CATEGORIES)]
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=int(random.integers(0, 30)))
    rows: list[dict[str, object]] = []
    for sequence in range(events):
        # Some events share their moment, as the lines of a basket do.
        if random.random() < 0.7:
            time += timedelta(hours=float(random.exponential(30.0)))
        row = dict.fromkeys(("query", "price", "quantity", "rating", "dwell_seconds", "position", "item_id"))
        row |= {"event_id": f"{shopper}-{sequence}", "shopper_id": f"s{shopper:03}", "sequence": sequence}
        row |= {"time": time, "catalogue": "products"}
        if random.random() < 0.2:
            row |= {"type": "search", "query": f"{random.choice(COLOURS)} {category.lower()}"}
        else:
            number = int(random.integers(0, 12))
            row |= {"type": str(random.choice(["view", "click", "purchase"])), "item_id": f"{category}-{number}"}
            row |= {"price": float(5 + 3 * number), "quantity": float(random.integers(1, 4))}
            row |= {"dwell_seconds": float(random.exponential(20.0)), "position": int(random.integers(1, 30))}
        rows.append(row)
    return rows


def write_bert(folder: Path) -> Path:
    """Write a BERT of one small layer with random weights, and its tokenizer."""
    from transformers import BertConfig

    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    return write_base_model(folder, BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=80, **shape))


def write_gpt(folder: Path) -> Path:
    """Write a GPT-2 of two small layers with random weights, and its tokenizer: no padding, nothing added to texts."""
    from transformers import GPT2Config

    return write_base_model(folder, GPT2Config(vocab_size=len(VOCABULARY), n_embd=32, n_layer=2, n_head=2), bare=True)


def write_base_model(folder: Path, config: "PreTrainedConfig", bare: bool = False) -> Path:
    """Write a base model with random weights, the same each time, and a tokenizer that knows the data set's words.

    Args:
        folder: where.
        config: of the model; its vocabulary is the tokenizer's.
        bare: a tokenizer as GPTs have it, which adds no tokens to a text and has none for padding.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokens = {"unk_token": "[UNK]", "eos_token": "[SEP]"}
    if not bare:
        tokens |= {"pad_token": "[PAD]"}
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder)
    return folder
