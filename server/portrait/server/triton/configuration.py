"""Model configurations as Triton loads them: the repository's config.pbtxt, with the versions of some releases."""

from collections.abc import Sequence
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from portrait.server.triton.errors import TritonError


def load_options(repository: Path, model: str, releases: Sequence[int]) -> str:
    """The configuration of a model with exactly the given versions, as JSON for Triton's load call.

    Raises:
        TritonError: the model has no config.pbtxt, or Triton's schema does not know what it says.
    """
    path = repository / model / "config.pbtxt"
    try:
        config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    except (OSError, text_format.ParseError) as error:
        raise TritonError(f"{path} can't be read: {error}") from error
    config.version_policy.specific.versions[:] = releases
    return json_format.MessageToJson(config, preserving_proto_field_name=True, indent=None)
