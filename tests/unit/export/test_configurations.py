"""Configurations against their graphs, by the rule that NVIDIA's C++ ONNX Runtime backend applies when it loads one."""

from pathlib import Path

import onnxruntime
import pytest
from google.protobuf import text_format
from support import tiny_release
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.model_config_pb2 import ModelConfig

from portrait.export import configurations
from portrait.export.errors import RepositoryError
from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.histories.history_arrays import EVENT_NUMBERS
from portrait.features.histories.statistics import STATISTICS
from portrait.features.release.layout import MODELS, TRAIT_HEADS, model_file
from portrait.training.encoders.base_model import load_config
from portrait.training.enums import DEFAULT_BASE_MODEL
from portrait.training.settings import TrainSettings

ALL = (*MODELS, TRAIT_HEADS)
_TYPES = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64"}


def parsed(path: Path) -> ModelConfig:
    return text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())


def refusals(config: ModelConfig, graph: Path) -> list[str]:
    """Why the C++ backend would not load the model; its rule, written here a second time."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    told = []
    for configured, real in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        shapes = {value.name: (value.type, value.shape) for value in real}
        if {value.name for value in configured} != set(shapes):
            told.append(f"{config.name}: other names")
        for value in configured:
            kind, shape = shapes[value.name]
            wanted = [length if isinstance(length, int) else -1 for length in shape]
            dims = [-1, *value.dims]
            fits = len(dims) == len(wanted) and all(b in (-1, a) for a, b in zip(dims, wanted, strict=True))
            if wanted[0] != -1 or not fits:
                told.append(f"{value.name}: the graph has {wanted}, the configuration {dims}")
            if _TYPES[kind] != model_config_pb2.DataType.Name(value.data_type):
                told.append(f"{value.name}: {kind}")
    return told


@pytest.mark.parametrize("model", ALL)
def test_a_configuration_fits_its_graph(tmp_path: Path, model: str) -> None:
    tiny_release.build(tmp_path, traits=True)
    assert refusals(parsed(tmp_path / model / "config.pbtxt"), model_file(tmp_path, model, 1)) == []


@pytest.mark.parametrize("model", ALL)
def test_no_configuration_asks_for_what_only_some_builds_have_and_each_says_its_threads(
    tmp_path: Path, model: str
) -> None:
    tiny_release.build(tmp_path, traits=True)
    config = parsed(tmp_path / model / "config.pbtxt")
    assert not config.optimization.HasField("execution_accelerators")
    assert config.parameters["intra_op_thread_count"].string_value == "1"


def test_the_configurations_in_the_checkout_are_those_of_the_default_settings() -> None:
    width, shipped = TrainSettings().dimension, Path(__file__).parents[3] / "model_repository"
    dims = {
        model: {value.name: list(value.dims) for value in (*config.input, *config.output)}
        for model, config in ((model, parsed(shipped / model / "config.pbtxt")) for model in ALL)
    }
    hidden = load_config(DEFAULT_BASE_MODEL).hidden_size
    assert dims["text_encoder"] == {
        "input_ids": [-1],
        "attention_mask": [-1],
        "embedding": [width],
        "sentence_embedding": [hidden],
    }
    assert dims["profile_encoder"] == {
        "event_embedding": [-1, width],
        "event_type": [-1],
        "event_age": [-1],
        "event_numbers": [-1, len(EVENT_NUMBERS)],
        "mask": [-1],
        "profile": [width],
    }
    assert dims["ranker"] == {
        "profile": [width],
        "query_embedding": [width],
        "profile_similarity": [-1],
        "query_similarity": [-1],
        "candidate_features": [-1, len(CANDIDATE_FEATURES)],
        "mask": [-1],
        "score": [-1],
        "click": [-1],
        "purchase": [-1],
    }
    assert dims["trait_heads"] == {"profile": [width], "statistics": [len(STATISTICS)], "probability": [1]}


def test_optimised_or_not_a_graph_has_the_same_dimensions(tmp_path: Path) -> None:
    tiny_release.build(tmp_path, traits=True)
    for model in ALL:
        graph = model_file(tmp_path, model, 1)
        session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
        assert configurations.read_dims(graph) == {
            value.name: tuple(length if isinstance(length, int) else -1 for length in value.shape[1:])
            for value in (*session.get_inputs(), *session.get_outputs())
        }


def test_what_an_operator_wrote_into_a_configuration_stays(tmp_path: Path) -> None:
    tiny_release.build(tmp_path)
    path = tmp_path / "ranker" / "config.pbtxt"
    edited = path.read_text(encoding="utf-8").replace("count: 1 kind: KIND_AUTO", "count: 3  # mine\n")
    path.write_text(edited, encoding="utf-8")
    tiny_release.build(tmp_path, 2)
    assert path.read_text(encoding="utf-8") == edited
    dims = configurations.read_dims(model_file(tmp_path, "ranker", 1))
    configurations.place(tmp_path, "ranker", dims | {"profile": (9,)})
    profile = '"profile" data_type: TYPE_FP32 dims: [ {} ]'
    assert path.read_text(encoding="utf-8") == edited.replace(profile.format(16), profile.format(9))


OLD = """
# What an older Portrait wrote.
name: "text_encoder" backend: "onnxruntime" default_model_filename: "model.onnx" max_batch_size: 256
input { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] }
input { name: "attention_mask" data_type: TYPE_INT64 dims: -1 }
output [ { name: "embedding" data_type: TYPE_FP32 dims: [ -1 ] } ]
output { name: "sentence_embedding" data_type: TYPE_FP32 dims: [ -1 ] }
instance_group { count: 5 kind: KIND_GPU gpus: [ 0, 1 ] }
optimization {
  graph { level: 1 }
  execution_accelerators {
    cpu_execution_accelerator: [ { name: "openvino" } ]
    gpu_execution_accelerator: [ { name: "tensorrt" } ]
  }
}
"""


@pytest.mark.parametrize("accelerators", ["both", "openvino"])
def test_an_old_configuration_is_upgraded_and_kept_beside(tmp_path: Path, accelerators: str) -> None:
    path = tmp_path / "text_encoder" / "config.pbtxt"
    path.parent.mkdir()
    gpu = 'gpu_execution_accelerator: [ { name: "tensorrt" } ]'
    old = OLD if accelerators == "both" else OLD.replace(gpu, "").replace("graph { level: 1 }", "")
    path.write_text(old, encoding="utf-8")
    tiny_release.build(tmp_path)
    assert refusals(parsed(path), model_file(tmp_path, "text_encoder", 1)) == []
    config = parsed(path)
    assert (config.instance_group[0].count, list(config.instance_group[0].gpus)) == (5, [0, 1])
    assert config.parameters["intra_op_thread_count"].string_value == "1"
    assert config.HasField("optimization") == (accelerators == "both")
    assert not config.optimization.execution_accelerators.cpu_execution_accelerator
    assert len(config.optimization.execution_accelerators.gpu_execution_accelerator) == (accelerators == "both")
    assert path.with_name("config.pbtxt.old").read_text(encoding="utf-8") == old


@pytest.mark.parametrize(
    ("model", "tensor", "dims"),
    [
        ("text_encoder", "embedding", (24,)),
        ("profile_encoder", "event_numbers", (-1, 13)),
        ("ranker", "candidate_features", (-1, 9)),
        ("trait_heads", "probability", (3,)),
        ("trait_heads", "new", (3,)),
    ],
)
def test_a_graph_of_other_dimensions_has_no_room(
    tmp_path: Path, model: str, tensor: str, dims: tuple[int, ...]
) -> None:
    tiny_release.build(tmp_path, 3, traits=True)
    there = configurations.read_dims(model_file(tmp_path, model, 3))
    configurations.require_room(tmp_path, model, there)
    with pytest.raises(RepositoryError, match=rf"{model} 3 whose {tensor} is .*, not .*--repository"):
        configurations.require_room(tmp_path, model, there | {tensor: dims})
    # A damaged version serves nobody.
    model_file(tmp_path, model, 3).write_bytes(b"no graph")
    configurations.require_room(tmp_path, model, there)


@pytest.mark.parametrize(
    ("text", "told"),
    [("input [", "can't be read"), ("\xff", "can't be read"), ('input { name: "x" }', "names the tensors x")],
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "ranker" / "config.pbtxt"
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RepositoryError, match=told) as refused:
        configurations.require_room(tmp_path, "ranker", {"profile": (4,)})
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"profile" data_type: TYPE_FP32', '"profile" data_type: TYPE_FP16', "profile is .*TYPE_FP16, and .*TYPE_FP32"),
        ('"click" data_type: TYPE_FP32', '"click"', "click is .*TYPE_INVALID, and .*TYPE_FP32"),
        ("max_batch_size: 64", "max_batch_size: 0", "max_batch_size 0; it must be above 0"),
        ("max_batch_size: 64", "", "max_batch_size 0; it must be above 0"),
        (' },\n  { name: "query_embedding"', ' }\n]\noutput [\n  { name: "query_embedding"', "is an output .*an input"),
    ],
)
def test_a_configuration_of_other_tensors_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    tiny_release.build(tmp_path)
    path, dims = tmp_path / "ranker" / "config.pbtxt", configurations.read_dims(model_file(tmp_path, "ranker", 1))
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(RepositoryError, match=told):
        configurations.require_room(tmp_path, "ranker", dims)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("[ -1, 55 ]", "[ -1, # [the width]\n  55 ]"),
        ("[ -1, 55 ]", "-1 dims: 55"),
        ('"candidate_features"', "'candidate_features'"),
    ],
)
def test_a_configuration_in_another_style_gets_the_dimensions(tmp_path: Path, old: str, new: str) -> None:
    tiny_release.build(tmp_path)
    path, dims = tmp_path / "ranker" / "config.pbtxt", configurations.read_dims(model_file(tmp_path, "ranker", 1))
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    configurations.place(tmp_path, "ranker", dims | {"profile": (9,), "candidate_features": (-1, 9)})
    config = parsed(path)
    assert [list(config.input[0].dims), list(config.input[4].dims)] == [[9], [-1, 9]]
    assert path.read_bytes().count(b"\r\n") == (path.read_bytes().count(b"\n") if new == "\r\n" else 0)
    configurations.place(tmp_path, "ranker", dims)
    assert refusals(parsed(path), model_file(tmp_path, "ranker", 1)) == []
