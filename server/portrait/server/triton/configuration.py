"""Models as Triton loads them: by the repository's config.pbtxt, with the versions of some releases."""

import os
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.features.release.layout import CONFIGURATION
from portrait.server.triton.connection import is_live
from portrait.server.triton.errors import TritonError, TritonLost

LOAD_SECONDS = 180.0
_SECONDS = 5.0
_TEXT_ENCODER = "text_encoder"
_THREADS = "intra_op_thread_count"
_SHIPPED_THREADS = "1"

Adapt = Callable[[model_config_pb2.ModelConfig], None]
"""Changes a configuration before Triton is told it."""


def load_options(repository: Path, model: str, releases: Sequence[int], adapt: Adapt | None = None) -> str:
    """The configuration of a model with exactly the given versions, as JSON for Triton's load call.

    Args:
        repository: the model repository.
        model: its name.
        releases: the versions.
        adapt: changes the configuration; None leaves it as the repository has it.

    Raises:
        TritonError: the model has no config.pbtxt, or Triton's schema does not know what it says.
    """
    config = _read(repository, model)
    config.version_policy.specific.versions[:] = releases
    if adapt:
        adapt(config)
    return json_format.MessageToJson(config, preserving_proto_field_name=True, indent=None)


def adapt_to_this_machine(config: model_config_pb2.ModelConfig) -> None:
    """Have a model run as is best where our Python-based backend runs it, with the packages of this environment.

    Without `onnxruntime-gpu`, KIND_AUTO is the CPU. The text encoder asks for OpenVINO, which instances on GPUs ignore,
    and for each instance's share of the cores, unless the repository says another number of threads than Portrait's
    own configuration.
    """
    if not _has_gpu_runtime():
        for group in config.instance_group:
            if group.kind == group.KIND_AUTO and not group.gpus:
                group.kind = group.KIND_CPU
    if config.name != _TEXT_ENCODER:
        return
    accelerators = config.optimization.execution_accelerators.cpu_execution_accelerator
    if not accelerators:
        accelerators.add(name="openvino")
    if config.parameters[_THREADS].string_value in ("", _SHIPPED_THREADS):
        cores = len(os.sched_getaffinity(0))
        config.parameters[_THREADS].string_value = str(max(1, cores // _count(config)))


def _has_gpu_runtime() -> bool:
    return any(metadata.distributions(name="onnxruntime-gpu"))


def instances(repository: Path, model: str) -> int:
    """Return the batches that a model runs at one time, by its configuration; `count_instances` knows the devices.

    Raises:
        TritonError: the model has no config.pbtxt, or Triton's schema does not know what it says.
    """
    return _count(_read(repository, model))


def _count(config: model_config_pb2.ModelConfig) -> int:
    """Instances on all devices that a configuration names; it counts as one device to name none."""
    return sum((group.count or 1) * max(1, len(group.gpus)) for group in config.instance_group) or 1


async def count_instances(client: InferenceServerClient, model: str, version: str) -> int:
    """Count the instances of a loaded model on all devices: Triton completes its configuration when it loads it.

    Raises:
        TritonError: Triton does not answer, or has not loaded it.
    """
    try:
        answer = await client.get_model_config(model, version, client_timeout=_SECONDS)
    except InferenceServerException as error:
        message = f"Triton does not tell the instances of {model} {version}: {error.message()}"
        raise await _make_error(client, message) from error
    return _count(answer.config)


def _read(repository: Path, model: str) -> model_config_pb2.ModelConfig:
    path = repository / model / CONFIGURATION
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise TritonError(f"{path} can't be read: {error}") from error


async def load_model(
    client: InferenceServerClient,
    repository: Path,
    model: str,
    releases: Sequence[int],
    adapt: Adapt | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    """Have Triton hold exactly the given versions of a model. What it holds of them already goes on answering.

    Raises:
        TritonError: it can't; it holds what it held before. TritonLost: it stopped answering.
    """
    options = load_options(repository, model, releases, adapt)
    try:
        await client.load_model(model, headers, config=options, client_timeout=LOAD_SECONDS)
    except InferenceServerException as error:
        message = f"Triton can't load {model} {list(releases)}: {error.message()}"
        raise await _make_error(client, message) from error


async def _make_error(client: InferenceServerClient, message: str) -> TritonError:
    """Make the error of a call that failed: the code of its status does not tell whether Triton is there."""
    return TritonError(message) if await is_live(client) else TritonLost(message)
