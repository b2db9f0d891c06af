"""The configuration that Triton gets when it loads a model, and the instances that it reports then."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from support import tiny_release
from tritonclient.grpc import service_pb2, service_pb2_grpc

from portrait.features.release.layout import MODELS
from portrait.server.inference.triton import TritonModels
from portrait.server.triton import TritonError
from portrait.server.triton.configuration import adapt_to_this_machine, instances, load_options

_THREADS = "intra_op_thread_count"
_GROUPS = {
    "text_encoder": "instance_group { count: 2 kind: KIND_GPU gpus: [ 0, 1, 2 ] }",
    "profile_encoder": "instance_group [ { count: 1 kind: KIND_GPU gpus: 3 }, { count: 4 kind: KIND_CPU } ]",
    "ranker": "",
}
"""Instances of each model on a Triton with several GPUs."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    tiny_release.build(tmp_path)
    return tmp_path


def _told(repository: Path, model: str, **adapt: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(load_options(repository, model, [1], **adapt))
    return told


@pytest.mark.parametrize("model", MODELS)
def test_a_triton_of_others_is_told_what_the_repository_says(repository: Path, model: str) -> None:
    told = _told(repository, model)
    assert "optimization" not in told
    assert told["parameters"][_THREADS]["string_value"] == "1"
    assert told["version_policy"] == {"specific": {"versions": ["1"]}}


def test_our_own_runs_the_text_encoder_in_openvino_on_its_share_of_the_cores(repository: Path) -> None:
    told = _told(repository, "text_encoder", adapt=adapt_to_this_machine)
    assert told["optimization"] == {"execution_accelerators": {"cpu_execution_accelerator": [{"name": "openvino"}]}}
    cores = len(os.sched_getaffinity(0))
    assert told["parameters"][_THREADS]["string_value"] == str(max(1, cores // 2))
    for model in ("profile_encoder", "ranker"):
        told, plain = _told(repository, model, adapt=adapt_to_this_machine), _told(repository, model)
        assert told | {"instance_group": []} == plain | {"instance_group": []}


@pytest.mark.parametrize(
    ("group", "with_gpu_runtime", "kind"),
    [
        ("kind: KIND_AUTO", False, "KIND_CPU"),
        ("kind: KIND_AUTO", True, None),
        ("kind: KIND_AUTO gpus: 1", False, None),
        ("kind: KIND_GPU", False, "KIND_GPU"),
    ],
)
def test_our_own_leaves_gpus_alone_where_no_runtime_could_use_them(
    repository: Path, monkeypatch: pytest.MonkeyPatch, group: str, with_gpu_runtime: bool, kind: str | None
) -> None:
    path = repository / "ranker" / "config.pbtxt"
    text = path.read_text(encoding="utf-8").replace("kind: KIND_AUTO }", f"{group} }}")
    path.write_text(text, encoding="utf-8")
    installed = repository / "site" / "onnxruntime_gpu-1.31.1.dist-info"
    if with_gpu_runtime:
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text("Name: onnxruntime-gpu\nVersion: 1.31.1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(installed.parent))
    [told] = _told(repository, "ranker", adapt=adapt_to_this_machine)["instance_group"]
    assert told.get("kind") == kind  # KIND_AUTO is the default, which JSON leaves out


def test_our_own_keeps_what_an_operator_chose_for_the_text_encoder(repository: Path) -> None:
    path = repository / "text_encoder" / "config.pbtxt"
    text = path.read_text(encoding="utf-8").replace('string_value: "1"', 'string_value: "7"')
    other = 'optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "other" } ] } }'
    path.write_text(f"{text}\n{other}\n", encoding="utf-8")
    ours, plain = _told(repository, "text_encoder", adapt=adapt_to_this_machine), _told(repository, "text_encoder")
    assert ours | {"instance_group": []} == plain | {"instance_group": []}


class _Triton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Tells the configurations of models as a Triton does that has loaded them."""

    async def ModelConfig(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        if request.version != "7":
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown model")
        answer = service_pb2.ModelConfigResponse()
        text_format.Parse(_GROUPS[request.name], answer.config)
        return answer


@pytest.fixture
async def triton_url() -> AsyncIterator[str]:
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Triton(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_instances_are_counted_on_all_devices(triton_url: str) -> None:
    models = TritonModels([triton_url], 7)
    assert await models.count_instances() == {"text_encoder": 6, "profile_encoder": 5, "ranker": 1}
    await models.close()


async def test_a_model_that_is_not_loaded_has_no_instances_to_count(triton_url: str) -> None:
    models = TritonModels([triton_url], 8)
    with pytest.raises(TritonError, match="instances of text_encoder 8: unknown model"):
        await models.count_instances()
    await models.close()


def test_before_a_model_is_loaded_its_configuration_counts_as_one_device(repository: Path) -> None:
    assert [instances(repository, model) for model in MODELS] == [2, 1, 1]
