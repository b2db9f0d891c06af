"""GradCache: gradients in chunks are those of one pass over everything."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from portrait.training.encoders.gradient_cache import backpropagate_in_chunks

ROWS = np.array([4, 0, 9, 2, 7, 5, 1])


@pytest.fixture
def encoder() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 5)).double()


def _contrast(vectors: Tensor) -> Tensor:
    """Compute a loss in which each vector depends on all others."""
    unit = functional.normalize(vectors, dim=-1)
    return functional.cross_entropy(5.0 * unit @ unit.flip(0).T, torch.arange(len(unit)))


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_gradients_in_chunks_are_those_of_one_pass(encoder: torch.nn.Module, chunk: int) -> None:
    inputs = torch.randn(10, 6, dtype=torch.float64)

    def encode(rows: np.ndarray) -> Tensor:
        return encoder(inputs[torch.from_numpy(rows)])

    expected = _contrast(encode(ROWS))
    expected.backward()
    gradients = [each.grad.clone() for each in encoder.parameters()]
    encoder.zero_grad()
    loss = backpropagate_in_chunks(encode, ROWS, _contrast, chunk)
    torch.testing.assert_close(loss, expected.detach())
    assert not loss.requires_grad
    for parameter, gradient in zip(encoder.parameters(), gradients, strict=True):
        assert gradient.abs().sum() > 0.0
        torch.testing.assert_close(parameter.grad, gradient)


def test_no_more_rows_than_a_chunk_are_encoded_with_gradients_at_once(encoder: torch.nn.Module) -> None:
    inputs, encoded = torch.randn(10, 6, dtype=torch.float64), []

    def encode(rows: np.ndarray) -> Tensor:
        encoded.append(len(rows))
        return encoder(inputs[torch.from_numpy(rows)])

    backpropagate_in_chunks(encode, ROWS, _contrast, 3)
    assert encoded == [3, 3, 1] * 2
