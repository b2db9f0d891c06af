"""A base model that tells nothing: all texts have the same vector. What a run loses by it is what its BERT is worth."""

from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertModel

from benchmarks.common import steps
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.enums import DEFAULT_BASE_MODEL

_WIDTH = 8


def train_without_bert(data: Path, run: Path, *options: str) -> Path:
    """Train a run with this base model, written beside it; otherwise as `steps.train_run`."""
    base = write_constant_model(run.parent / "constant-model")
    return steps.train_run(data, run, *options, "--base-model", str(base), "--finetune", "frozen")


def write_constant_model(folder: Path) -> Path:
    """Write a BERT of zeros with the default base model's tokenizer, unless it is there; return its folder.

    Only the offset of its last normalisation is not 0, which is what it returns for every token. It stands for a run
    without a BERT only where it stays frozen.
    """
    if (folder / "config.json").exists():
        return folder
    tokenizer = load_tokenizer(DEFAULT_BASE_MODEL)
    shape: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": _WIDTH}
    model = BertModel(BertConfig(vocab_size=tokenizer.vocabulary_size, hidden_size=_WIDTH, **shape))
    weights = {name: torch.zeros_like(values) for name, values in model.state_dict().items()}
    weights["encoder.layer.0.output.LayerNorm.bias"].fill_(1.0)
    model.load_state_dict(weights)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder / "tokenizer.json")
    model.save_pretrained(folder)
    return folder
