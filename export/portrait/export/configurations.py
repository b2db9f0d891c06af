"""Models' configurations for Triton, which `portrait export` writes so that they say what the graphs say.

NVIDIA's ONNX Runtime backend refuses a dimension of -1 where a graph has a number. One configuration serves all
versions of a model, so all releases of a repository have the same widths.
"""

import re
import shutil
from importlib.resources import files as resources
from pathlib import Path

import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelParameter

from portrait.export.errors import ExportError, RepositoryError
from portrait.features.files.atomic_write import atomic_write
from portrait.features.release.layout import CONFIGURATION, MODEL_FILE

Dims = dict[str, tuple[int, ...]]
"""Dimensions of inputs and outputs by name, without the batch axis; -1 where an axis may be of any length."""

_BEFORE = "config.pbtxt.old"
_THREADS = "intra_op_thread_count"
_UPGRADED = """\
# `portrait export` made this of an older configuration, which lies beside it as config.pbtxt.old: without its comments,
# with the dimensions of the graphs, with a number of threads, and without OpenVINO. docs/operations/triton.md explains
# the keys.
"""


def read_dims(graph: Path) -> Dims:
    """Read the dimensions that ONNX Runtime sees in a graph: it infers widths that the file itself does not name.

    Raises:
        ExportError: the first axis of an input or output is a number, so that no batch of another size could run.
    """
    options = onnxruntime.SessionOptions()
    # Only the shapes are wanted, which are inferred before anything is optimised.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    dims = {}
    for value in (*session.get_inputs(), *session.get_outputs()):
        batch, *rest = [length if isinstance(length, int) else -1 for length in value.shape] or [0]
        if batch != -1:
            raise ExportError(f"{graph}: {value.name} has the shape {value.shape}, which has no batch axis")
        dims[value.name] = tuple(rest)
    return dims


def require_room(repository: Path, model: str, dims: Dims) -> None:
    """Require that a graph of such dimensions can be another version of a model.

    Raises:
        RepositoryError: a version has other dimensions, or the configuration can't be read or has other tensors than
            the graph, or no batches.
    """
    for graph in sorted((repository / model).glob(f"*/{MODEL_FILE}")):
        if graph.parent.name.isdigit() and (told := _difference(_dims_if_read(graph), dims)):
            raise RepositoryError(
                f"{repository} has a {model} {graph.parent.name} whose {told}; one configuration serves all releases "
                "of a repository: export to another one (--repository)"
            )
    path = repository / model / CONFIGURATION
    if path.exists():
        _require_tensors(path, _read(path), _read(_shipped(model)), dims)


def place(repository: Path, model: str, dims: Dims) -> None:
    """Write a model's configuration, with a graph's dimensions, unless it has them.

    What else stands in a configuration is kept, comments too. Only one that an older Portrait wrote, which asks for
    OpenVINO or names no number of threads, is written anew without comments; the old file stays beside it.

    Raises:
        RepositoryError: the configuration that is there can't be read.
    """
    path = repository / model / CONFIGURATION
    is_there = path.exists()
    source = path if is_there else _shipped(model)
    config = _read(source)
    if is_there and _configured(config) == dims:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _with_dims(source.read_bytes().decode(), dims)  # with its line ends
    _upgrade(config, dims)
    if not _says(text, config):
        text = _UPGRADED + text_format.MessageToString(config)
        if is_there:
            shutil.copy(path, path.with_name(_BEFORE))
    with atomic_write(path) as temporary:
        temporary.write_bytes(text.encode())


def _shipped(model: str) -> Path:
    """Portrait's own configuration of a model: inside the installed package, or at the top of a checkout."""
    inside = Path(str(resources("portrait.export"))).parent / "model_repository"
    return (inside if inside.exists() else Path(__file__).parents[3] / "model_repository") / model / CONFIGURATION


def _read(path: Path) -> ModelConfig:
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise RepositoryError(f"{path} can't be read: {error}") from error


def _says(text: str, config: ModelConfig) -> bool:
    """Tell whether a text is a configuration; one in which dimensions were replaced need not even be a text of one."""
    try:
        return bool(text_format.Parse(text, ModelConfig()) == config)
    except text_format.ParseError:
        return False


def _require_tensors(path: Path, config: ModelConfig, shipped: ModelConfig, dims: Dims) -> None:
    if (named := _configured(config).keys()) != dims.keys():
        raise RepositoryError(f"{path} names the tensors {', '.join(named)}, and the graph {', '.join(dims)}")
    if config.max_batch_size < 1:
        raise RepositoryError(f"{path} has max_batch_size {config.max_batch_size}; it must be above 0")
    own, wanted = _kinds(config), _kinds(shipped)
    if wrong := sorted(name for name in own if own[name] != wanted[name]):
        raise RepositoryError(f"{path}: {wrong[0]} is {own[wrong[0]]}, and {wanted[wrong[0]]} in the graph")


def _kinds(config: ModelConfig) -> dict[str, str]:
    """Tell of each tensor its type and whether it is an input, in words."""
    tensors = [*(("input", tensor) for tensor in config.input), *(("output", tensor) for tensor in config.output)]
    return {tensor.name: f"an {side} of {DataType.Name(tensor.data_type)}" for side, tensor in tensors}


def _dims_if_read(graph: Path) -> Dims:
    """The dimensions of a graph; none of a file that is damaged, and so serves nobody."""
    try:
        return read_dims(graph)
    except Exception:  # whatever the runtime raises
        return {}


def _difference(there: Dims, new: Dims) -> str | None:
    """The first tensor in which two differ, in words."""
    for name in (*there, *new) if there else ():
        if there.get(name) != new.get(name):
            return f"{name} is {_told(there.get(name))}, not {_told(new.get(name))} as in this run"
    return None


def _told(dims: tuple[int, ...] | None) -> str:
    return "missing" if dims is None else str(list(dims))


def _configured(config: ModelConfig) -> Dims:
    return {tensor.name: tuple(tensor.dims) for tensor in (*config.input, *config.output)}


def _with_dims(text: str, dims: Dims) -> str:
    """A configuration's text with other dimensions, comments and all else as they are."""
    for name, lengths in dims.items():
        entry = re.compile(rf'(name:\s*"{re.escape(name)}"[^{{}}]*?dims:\s*)\[[^\]]*\]')
        text = entry.sub(rf"\g<1>[ {', '.join(map(str, lengths))} ]", text)
    return text


def _upgrade(config: ModelConfig, dims: Dims) -> None:
    """Give a configuration the dimensions, and what Portrait's own say today."""
    for tensor in (*config.input, *config.output):
        tensor.dims[:] = dims[tensor.name]
    if _THREADS not in config.parameters:
        config.parameters[_THREADS].CopyFrom(ModelParameter(string_value="1"))
    accelerators = config.optimization.execution_accelerators
    others = [each for each in accelerators.cpu_execution_accelerator if each.name != "openvino"]
    del accelerators.cpu_execution_accelerator[:]
    accelerators.cpu_execution_accelerator.extend(others)
    if not accelerators.ByteSize():
        config.optimization.ClearField("execution_accelerators")
    if not config.optimization.ByteSize():
        config.ClearField("optimization")
