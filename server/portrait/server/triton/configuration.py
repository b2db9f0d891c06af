"""Model configurations as Triton loads them: the repository's config.pbtxt, with the versions of some releases."""

from collections.abc import Sequence
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2


def load_options(repository: Path, model: str, releases: Sequence[int]) -> str:
    """The configuration of a model with exactly the given versions, as JSON for Triton's load call."""
    config = text_format.Parse((repository / model / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    config.version_policy.specific.versions[:] = releases
    return json_format.MessageToJson(config, preserving_proto_field_name=True, indent=None)
