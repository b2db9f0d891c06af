"""Comparison of the weights of two runs that must have learnt the same."""

from pathlib import Path

import torch

_KEY_QUERY_VALUE_BIAS = "attention.inputs.bias"


def assert_same_weights(run: Path, other: Path, tolerance: float = 1e-4) -> None:
    """Compare the encoders in the `model.pt` of two runs, but for weights that have no effect."""
    first, second = (torch.load(folder / "model.pt", weights_only=True)["model"] for folder in (run, other))
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(
            _drop_key_bias(name, second[name]), _drop_key_bias(name, value), rtol=tolerance, atol=tolerance, msg=name
        )


def _drop_key_bias(name: str, values: torch.Tensor) -> torch.Tensor:
    """Drop what a softmax over keys ignores: its gradient is rounding noise, from which AdamW makes whole steps."""
    if not name.endswith(_KEY_QUERY_VALUE_BIAS):
        return values
    query, _, value = values.view(3, -1)
    return torch.cat([query, value])
