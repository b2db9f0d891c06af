"""Models as Triton loads them: by the repository's config.pbtxt, with the versions of some releases."""

from collections.abc import Sequence
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.server.triton.errors import TritonError

LOAD_SECONDS = 180.0


def load_options(repository: Path, model: str, releases: Sequence[int]) -> str:
    """The configuration of a model with exactly the given versions, as JSON for Triton's load call.

    Raises:
        TritonError: the model has no config.pbtxt, or Triton's schema does not know what it says.
    """
    config = _read(repository, model)
    config.version_policy.specific.versions[:] = releases
    return json_format.MessageToJson(config, preserving_proto_field_name=True, indent=None)


def instances(repository: Path, model: str) -> int:
    """How many batches a model runs at one time: its instances on one device.

    Raises:
        TritonError: the model has no config.pbtxt, or Triton's schema does not know what it says.
    """
    return sum(group.count or 1 for group in _read(repository, model).instance_group) or 1


def _read(repository: Path, model: str) -> model_config_pb2.ModelConfig:
    path = repository / model / "config.pbtxt"
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
    except (OSError, text_format.ParseError) as error:
        raise TritonError(f"{path} can't be read: {error}") from error


async def load_model(client: InferenceServerClient, repository: Path, model: str, releases: Sequence[int]) -> None:
    """Have Triton hold exactly the given versions of a model. What it holds of them already goes on answering.

    Raises:
        TritonError: it can't; it holds what it held before.
    """
    options = load_options(repository, model, releases)
    try:
        await client.load_model(model, config=options, client_timeout=LOAD_SECONDS)
    except InferenceServerException as error:
        raise TritonError(f"Triton can't load {model} {list(releases)}: {error.message()}") from error
