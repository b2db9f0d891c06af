"""One run on small data that all tests of export start from, and its graphs, each traced once."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import polars as pl
import pytest
import torch
from support import tiny_data
from support.shared_builds import build_once

from portrait.training.enums import Preset
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun
from portrait.training.settings import TrainSettings


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return runs.load(build_once(tmp_path_factory, "trained", _train) / "run")


def _train(folder: Path) -> None:
    bert = tiny_data.write_bert(folder / "bert")
    settings = TrainSettings.of(Preset.QUICK, base_model=str(bert), dimension=16, maximum_epochs=1, places=512)
    data = tiny_data.write(folder / "data", shoppers=130)
    declared = {"shopper_id": [f"s{shopper:03}" for shopper in range(130)]}
    declared["gender"] = ["<b>her</b>"] * 65 + ["him"] * 60 + ["few"] * 5
    pl.DataFrame(declared).with_columns(age_band=pl.lit(None, pl.String), region=pl.lit("one")).write_parquet(
        data / "shoppers.parquet"
    )
    runs.train(data, folder / "run", settings)


@pytest.fixture(scope="session", autouse=True)
def graphs_are_traced_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what PyTorch's exporter makes of a module: it takes 6 s for each, and most tests export the same run."""
    trace = torch.onnx.export

    def trace_once(module: torch.nn.Module, **options: Any) -> Any:
        def write(folder: Path) -> None:
            onnx.save_model(trace(module, **options).model_proto, folder / "graph.onnx")

        traced = build_once(tmp_path_factory, f"graph-{_digest(module, options)}", write)
        return SimpleNamespace(model_proto=onnx.load(traced / "graph.onnx"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", trace_once)
        yield


def _digest(module: torch.nn.Module, options: dict[str, Any]) -> str:
    """Digest of a module's structure and weights, and of the names of its inputs and outputs."""
    names = [options[name] for name in ("input_names", "output_names", "opset_version")]
    digest = hashlib.sha256(f"{module!r} {names} {options['dynamic_shapes']}".encode())
    for name, value in itertools.chain(module.named_parameters(), module.named_buffers()):
        digest.update(name.encode())
        digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()
