"""The cache of texts: gradient checkpointing and number formats change memory and speed, not what is learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny_data

from portrait.training.devices import CPU, autocast_bert, autocast_step
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.encoders.model import TextCache
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.enums import TrainingPrecision

TEXTS = ["red lamps number 3", "blue chairs", "", "a green rug , acme home number 11", "white tables"]


@pytest.fixture(scope="module", params=["bert", "gpt"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write = {"bert": tiny_data.write_bert, "gpt": tiny_data.write_gpt}[request.param]
    return write(tmp_path_factory.mktemp("base"))


def _refresh(base: Path, **chosen: object) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Encode the texts with gradients; return their vectors, and the gradients of the base model."""
    torch.manual_seed(0)
    encoder = TextEncoder(str(base), 16).eval()
    cache = TextCache(encoder, load_tokenizer(str(base)), TEXTS, **chosen)
    cache.refresh(np.arange(len(TEXTS)))
    pooled = cache.lookup(torch.arange(len(TEXTS)))
    encoder.head(pooled).cos().sum().backward()
    return pooled.detach(), [each.grad for each in encoder.bert.parameters() if each.grad is not None]


@pytest.mark.parametrize("checkpointed", [1, 2, 100])
def test_gradient_checkpointing_gives_the_same_gradients(base: Path, checkpointed: int) -> None:
    fp32 = {"precision": TrainingPrecision.FP32}
    expected, gradients = _refresh(base, **fp32)
    pooled, same = _refresh(base, **fp32, checkpointed_texts=checkpointed)
    torch.testing.assert_close(pooled, expected)
    assert len(gradients) == len(same) > 0
    for first, second in zip(gradients, same, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_bfloat16_is_near_float32_and_the_cache_stays_float32(base: Path) -> None:
    (exact, _), (rounded, _) = (
        _refresh(base, precision=precision) for precision in (TrainingPrecision.FP32, TrainingPrecision.BF16)
    )
    assert exact.dtype == rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("precision", "whole_step"),
    [(TrainingPrecision.AUTO, False), (TrainingPrecision.FP32, False), (TrainingPrecision.BF16, True)],
)
def test_a_step_on_the_cpu_is_in_bfloat16_only_on_request(precision: TrainingPrecision, whole_step: bool) -> None:
    product = torch.ones(2, 2)
    with autocast_step(CPU, precision):
        assert (product @ product).dtype == (torch.bfloat16 if whole_step else torch.float32)
    with autocast_bert(CPU, TrainingPrecision.FP32):
        assert (product @ product).dtype == torch.float32
