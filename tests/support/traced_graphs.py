"""Graphs that PyTorch's exporter traces, each once for all worker processes of a test run.

Tracing takes some 6 s for each graph, and most tests export the same ones.
"""

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch

from support.shared_builds import build_once


@contextmanager
def trace_once(factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the result of `torch.onnx.export` for modules of equal structure and weights, until the end of the block."""
    trace = torch.onnx.export

    def export(module: torch.nn.Module, **options: Any) -> SimpleNamespace:
        def write(folder: Path) -> None:
            onnx.save_model(trace(module, **options).model_proto, folder / "graph.onnx")

        traced = build_once(factory, f"graph-{_digest(module, options)}", write)
        return SimpleNamespace(model_proto=onnx.load(traced / "graph.onnx"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", export)
        yield


def _digest(module: torch.nn.Module, options: dict[str, Any]) -> str:
    """Digest of a module's structure and weights, and of the names and axes of its inputs and outputs."""
    names = [options[name] for name in ("input_names", "output_names", "opset_version")]
    digest = hashlib.sha256(f"{module!r} {names} {options['dynamic_shapes']}".encode())
    for name, value in itertools.chain(module.named_parameters(), module.named_buffers()):
        digest.update(name.encode())
        digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()
