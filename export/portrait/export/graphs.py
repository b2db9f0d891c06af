"""The graphs as ONNX: dynamic batch and lengths, one opset."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from portrait.export.configurations import Dims
from portrait.export.errors import ExportError
from portrait.export.formats import converted
from portrait.export.precision import Precision
from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES, RANKER_INPUTS
from portrait.features.events import EVENT_TYPES
from portrait.features.histories.history_arrays import EVENT_NUMBERS, MAX_ENCODED_SLOTS
from portrait.features.histories.statistics import STATISTICS
from portrait.features.release.layout import TRAIT_HEADS
from portrait.features.text.tokenizer import MAX_TOKENS
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.run.run import TrainedRun

OPSET = 18
_TRACED = "traced_"


@dataclass(frozen=True)
class Graph:
    """One model of a release and how it is called."""

    name: str
    module: nn.Module
    inputs: dict[str, tuple[str, ...]]
    """The axes of each input; equal names are equal lengths."""
    outputs: dict[str, tuple[str, ...]]

    def example(self, seed: int, **lengths: int) -> dict[str, NDArray[np.generic]]:
        """Inputs that look like real ones, for tracing and for parity checks.

        Args:
            seed: for the random numbers.
            lengths: length of each axis.
        """
        return _examples(self, np.random.default_rng(seed), lengths)

    def dims(self, **lengths: int) -> Dims:
        """Dimensions of inputs and outputs as Triton's configuration has them.

        Args:
            lengths: length of each axis that is the same in every request.
        """
        sizes = lengths | FIXED_AXES
        named = (self.inputs | self.outputs).items()
        return {name: tuple(-1 if axis in LONGEST else sizes[axis] for axis in axes[1:]) for name, axes in named}


class ServedTextEncoder(nn.Module):
    """The text encoder as it is served: the pooled states of its base model beside their projection.

    Args:
        text: the trained text encoder.
    """

    def __init__(self, text: TextEncoder) -> None:
        super().__init__()
        self.text = text

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode `[texts, tokens]` twice: `embedding [texts, dimension]`, `sentence_embedding [texts, hidden]`.

        Both are of unit length.
        """
        pooled = self.text.pool(input_ids, attention_mask)
        return self.text.head(pooled), functional.normalize(pooled, dim=-1)


def graphs(trained: TrainedRun) -> list[Graph]:
    """The graphs of a trained run; `trait_heads` is one of them if it has traits."""
    d, each = "dimension", ("n", "candidates")
    made = [
        Graph(
            "text_encoder",
            ServedTextEncoder(trained.model.text),
            {"input_ids": ("n", "tokens"), "attention_mask": ("n", "tokens")},
            {"embedding": ("n", d), "sentence_embedding": ("n", "hidden")},
        ),
        Graph(
            "profile_encoder",
            trained.model.profile,
            {
                "event_embedding": ("n", "events", d),
                "event_type": ("n", "events"),
                "event_age": ("n", "events"),
                "event_numbers": ("n", "events", "numbers"),
                "mask": ("n", "events"),
            },
            {"profile": ("n", d)},
        ),
        Graph(
            "ranker",
            trained.ranker,
            dict(zip(RANKER_INPUTS, (("n", d), ("n", d), each, each, (*each, "features"), each), strict=True)),
            dict.fromkeys(("score", "click", "purchase"), ("n", "candidates")),
        ),
    ]
    if trained.traits and trained.traits.heads:
        inputs: dict[str, tuple[str, ...]] = {"profile": ("n", d), "statistics": ("n", "statistics")}
        made.append(Graph(TRAIT_HEADS, trained.traits.heads, inputs, {"probability": ("n", "traits")}))
    return made


FIXED_AXES = {"numbers": len(EVENT_NUMBERS), "features": len(CANDIDATE_FEATURES), "statistics": len(STATISTICS)}
LONGEST = {"n": 1024, "tokens": MAX_TOKENS, "events": MAX_ENCODED_SLOTS, "candidates": 4096}


def export(graph: Graph, dimension: int, precision: Precision, path: Path) -> None:
    """Write a graph as one ONNX file, checked by ONNX itself."""
    lengths = {"n": 3, "tokens": 7, "events": 5, "candidates": 6, "dimension": dimension}
    example = graph.example(0, **lengths)
    dynamic = {
        name: {place: torch.export.Dim.DYNAMIC for place, axis in enumerate(axes) if axis in LONGEST}
        for name, axes in graph.inputs.items()
    }
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph.module.eval(),
            kwargs={name: torch.from_numpy(value) for name, value in example.items()},
            dynamic_shapes=dynamic,
            input_names=list(graph.inputs),
            output_names=[_TRACED + name for name in graph.outputs],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ExportError(f"{graph.name} could not be exported")
    model = converted(program.model_proto, precision.of(graph.name))
    _name_outputs(model, graph)
    _name_axes(model, graph)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, str(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of packages that it could use and of its own libraries' deprecations: not of the graph."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(level)


def _name_outputs(model: onnx.ModelProto, graph: Graph) -> None:
    """Give the outputs their names; the exporter names inner values after operators, which may be the same word."""
    renamed = {name: f"inner_{name}" for name in graph.outputs} | {_TRACED + name: name for name in graph.outputs}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    for value in (*model.graph.value_info, *model.graph.output):
        value.name = renamed.get(value.name, value.name)


def _name_axes(model: onnx.ModelProto, graph: Graph) -> None:
    for values, named in ((model.graph.input, graph.inputs), (model.graph.output, graph.outputs)):
        for value in values:
            for dimension, axis in zip(value.type.tensor_type.shape.dim, named[value.name], strict=True):
                if not dimension.HasField("dim_value"):
                    dimension.dim_param = axis


def _examples(graph: Graph, random: np.random.Generator, lengths: dict[str, int]) -> dict[str, NDArray[np.generic]]:
    sizes = lengths | FIXED_AXES

    def unit(*shape: int) -> NDArray[np.generic]:
        values = random.normal(size=shape)
        return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)

    def real(axes: tuple[str, ...]) -> NDArray[np.int64]:
        """1 for what is real, 0 for padding; padding stands right for tokens and candidates, left for events."""
        n, length = (sizes[axis] for axis in axes)
        kept = random.integers(1, length + 1, size=(n, 1))
        place = np.arange(length)[None]
        return ((place >= length - kept) if axes[1] == "events" else (place < kept)).astype(np.int64)

    example: dict[str, NDArray[np.generic]] = {}
    for name, axes in graph.inputs.items():
        shape = tuple(sizes[axis] for axis in axes)
        if name in ("attention_mask", "mask"):
            example[name] = real(axes)
        elif name == "input_ids":
            assert isinstance(graph.module, ServedTextEncoder)
            example[name] = random.integers(0, graph.module.text.vocabulary_size, size=shape)
        elif name == "event_type":
            example[name] = random.integers(1, len(EVENT_TYPES) + 1, size=shape)
        elif name == "event_age":
            ages = np.sort(random.exponential(30.0, size=shape), axis=1)[:, ::-1]
            example[name] = np.where(random.random((shape[0], 1)) < 0.2, -1.0, ages).astype(np.float32)
        elif axes[-1] == "dimension":
            example[name] = unit(*shape)
        else:
            example[name] = random.random(shape).astype(np.float32)
    return example


def outputs_of(graph: Graph, inputs: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
    """Outputs of a graph in PyTorch."""
    with torch.no_grad():
        answered = graph.module(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    tensors: tuple[Tensor, ...] = answered if isinstance(answered, tuple) else (answered,)
    return {name: tensor.numpy() for name, tensor in zip(graph.outputs, tensors, strict=True)}


def shapes(dimension: int) -> Iterator[dict[str, int]]:
    """Axis lengths at which parity is checked: the smallest, a common one, the largest that serving sends."""
    for n, tokens, events, candidates in ((1, 1, 1, 1), (7, 19, 13, 50), (2, MAX_TOKENS, MAX_ENCODED_SLOTS, 300)):
        yield {"n": n, "tokens": tokens, "events": events, "candidates": candidates, "dimension": dimension}
