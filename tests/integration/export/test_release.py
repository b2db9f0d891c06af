"""Exporting a trained run: parity in ONNX Runtime and Triton, nothing half made, and a release that serves."""

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from support import tiny_release
from support.recording_proxy import recording_proxy

from portrait.export import configurations, parity
from portrait.export.errors import ExportError, RepositoryError
from portrait.export.formats import converted
from portrait.export.graphs import export, graphs
from portrait.export.precision import LARGE, Precision
from portrait.export.release import export_release
from portrait.features.histories.statistics import STATISTICS
from portrait.features.release import layout as release_layout
from portrait.features.release.manifest import ReleaseError
from portrait.server.release.release import Release
from portrait.training.encoders.retrieval import encode_items
from portrait.training.run.run import TrainedRun
from portrait.training.traits.artifacts import FittedTraits
from portrait.training.traits.heads import HeadShape, TraitHead, TraitHeads


def test_releases_are_numbered_and_agree_with_the_model(
    trained: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "model_repository"
    with recording_proxy() as proxy, monkeypatch.context() as patch:
        for name, value in proxy.environment.items():
            patch.setenv(name, value)
        first, checks = export_release(trained, {"metrics-loo": {}}, repository, Precision.FP32, lambda _: None)
    assert proxy.requests == []  # Triton is on this machine
    unlearnt = dataclasses.replace(trained, unlearning={"shoppers": 3, "events": 72})
    second, _ = export_release(unlearnt, {}, repository, Precision.FP32, lambda _: None)
    assert (first.release, second.release) == (1, 2)
    assert release_layout.list_releases(repository) == [1, 2]
    assert {check.runtime for check in checks} == {"onnxruntime", "triton"}
    assert all(check.holds for check in checks)
    loaded = Release.load(repository, 1)
    assert [item.item_id for item in loaded.items] == trained.corpus.item_ids
    np.testing.assert_allclose(loaded.vectors, encode_items(trained.model, trained.cache, trained.corpus), atol=1e-6)
    assert loaded.rarity.by_stem["lamp"] == pytest.approx(math.log((1 + len(loaded.items)) / 13))
    assert "unlearning" not in first.training
    assert second.training["unlearning"] == {"shoppers": 3, "events": 72}
    assert second.export["retrieval"]["kind"] == "exact"
    assert f"releases/2/{release_layout.ITEM_COLUMNS}/price.npy" in second.hashes


def test_every_number_format_agrees_with_the_model(trained: TrainedRun, tmp_path: Path) -> None:
    [text] = [graph for graph in graphs(trained) if graph.name == LARGE]
    sizes = {}
    for precision in Precision:
        path = tmp_path / f"{precision}.onnx"
        export(text, trained.settings.dimension, precision, path)
        parity.require([parity.check_runtime(text, path, trained.settings.dimension, precision)])
        assert configurations.read_dims(path) == text.dims(
            dimension=trained.settings.dimension, hidden=trained.model.text.project.in_features
        )
        sizes[precision] = path.stat().st_size
    assert all(size < sizes[Precision.FP32] for precision, size in sizes.items() if precision is not Precision.FP32)


def test_only_the_large_graph_is_quantised(trained: TrainedRun, tmp_path: Path) -> None:
    manifest, checks = export_release(trained, {}, tmp_path, Precision.INT8, lambda _: None)
    assert manifest.export["precision"] == "int8"
    assert all(check.holds for check in checks)
    bounds = {check.graph: check.bound for check in checks if check.runtime == "onnxruntime"}
    assert bounds[LARGE] == parity.BOUNDS[Precision.INT8]
    assert bounds["ranker"] == bounds["profile_encoder"] == parity.BOUNDS[Precision.FP32]


def test_bfloat16_rounds_to_the_nearest() -> None:
    weight = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [40, 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [40, 30])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    short = converted(model, Precision.BF16)
    onnx.checker.check_model(short, full_check=True)
    session = onnxruntime.InferenceSession(short.SerializeToString(), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"x": np.eye(40, dtype=np.float32)})
    np.testing.assert_array_equal(found, torch.from_numpy(weight).bfloat16().float().numpy())


def test_traits_are_a_graph_of_their_own(trained: TrainedRun, tmp_path: Path) -> None:
    dimension = trained.settings.dimension
    shapes = (HeadShape(False, 0), HeadShape(True, 4))
    heads = TraitHeads([TraitHead(dimension, range(len(STATISTICS)), shape) for shape in shapes]).eval()
    absent = {"one": None, "two": "too few positives", "three": None}
    declared: list[dict[str, object]] = [
        {"name": name, "description": "", "horizon_days": 30, "window_days": 90, "absent": reason}
        for name, reason in absent.items()
    ]
    plain, _ = export_release(trained, {}, tmp_path, Precision.FP32, lambda _: None)
    manifest, checks = export_release(
        dataclasses.replace(trained, traits=FittedTraits(declared, heads)), {}, tmp_path, Precision.FP32, lambda _: None
    )
    assert {check.runtime for check in checks if check.graph == release_layout.TRAIT_HEADS} == {"onnxruntime", "triton"}
    assert [trait["name"] for trait in manifest.traits] == ["one", "two", "three"]
    assert (plain.statistics, manifest.statistics) == ([], list(STATISTICS))
    assert release_layout.list_models(tmp_path, plain.release) == release_layout.MODELS
    assert release_layout.list_models(tmp_path, manifest.release) == (
        *release_layout.MODELS,
        release_layout.TRAIT_HEADS,
    )
    assert Release.load(tmp_path, manifest.release).number == 2
    before = _contents(tmp_path)
    fewer = dataclasses.replace(trained, traits=FittedTraits(declared, TraitHeads(list(heads.heads)[:1]).eval()))
    with pytest.raises(RepositoryError, match=r"trait_heads 2 whose probability is \[2\], not \[1\]"):
        export_release(fewer, {}, tmp_path, Precision.FP32, lambda _: None)
    assert _contents(tmp_path) == before


def test_a_run_of_another_width_is_refused_before_anything_is_written(trained: TrainedRun, tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    tiny_release.build(repository)
    wider = repository / "text_encoder" / "1" / "model.onnx"
    graph = onnx.load(wider)
    [words] = [weight for weight in graph.graph.initializer if weight.name == "words"]
    values = numpy_helper.to_array(words)
    words.CopyFrom(numpy_helper.from_array(np.tile(values, 2), "words"))
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2 * values.shape[1]
    onnx.save(graph, wider)
    before = _contents(tmp_path)
    command = [str(Path(sys.executable).parent / "portrait"), "export", str(trained.folder), "--repository"]
    ended = subprocess.run([*command, str(repository)], capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 2, ended.stderr
    told = "has a text_encoder 1 whose embedding is [32], not [16] as in this run"
    assert told in ended.stderr.replace("\n", " ")
    assert "Traceback" not in ended.stderr
    assert _contents(tmp_path) == before


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_that_was_changed_is_noticed(trained: TrainedRun, tmp_path: Path) -> None:
    manifest, _ = export_release(trained, {}, tmp_path, Precision.FP32, lambda _: None)
    model = release_layout.model_file(tmp_path, "ranker", manifest.release)
    model.write_bytes(model.read_bytes() + b"x")
    with pytest.raises(ReleaseError, match="ranker"):
        Release.load(tmp_path, manifest.release)


def test_a_graph_that_disagrees_stops_the_release(
    trained: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bound that nothing can meet stands for a graph that came out wrong."""
    monkeypatch.setitem(parity.BOUNDS, Precision.FP32, 0.0)
    with pytest.raises(ExportError, match="text_encoder in onnxruntime"):
        export_release(trained, {}, tmp_path / "model_repository", Precision.FP32, lambda _: None)
    assert release_layout.list_releases(tmp_path / "model_repository") == []
    assert not list((tmp_path / "model_repository").glob("*/1"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model_repository"]


def test_examples_cover_padding_and_unknown_ages(trained: TrainedRun) -> None:
    [profile_encoder] = [graph for graph in graphs(trained) if graph.name == "profile_encoder"]
    example = profile_encoder.example(0, n=50, events=9, dimension=16)
    assert (example["mask"][:, -1] == 1).all()
    assert (example["mask"] == 0).any()
    assert (example["event_age"] == -1).any()
