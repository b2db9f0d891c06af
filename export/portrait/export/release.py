"""Export of a run as a release: graphs and indexes, compared with PyTorch, and a manifest that is written last.

The manifest makes the folders a release: a gateway ignores folders without it, so an interrupted export does no harm.
"""

import asyncio
import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import np_to_triton_dtype

from portrait.export import configurations, index, parity
from portrait.export.configurations import Dims
from portrait.export.errors import ExportError
from portrait.export.graphs import OPSET, Graph, export, graphs
from portrait.export.nearest import Retrieval
from portrait.export.parity import Infer, Parity
from portrait.export.precision import Precision
from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES, RANKER_INPUTS
from portrait.features.files.integrity import sha256
from portrait.features.files.numbered_folders import parse_folder_number
from portrait.features.histories.history_arrays import EVENT_NUMBERS
from portrait.features.histories.statistics import STATISTICS
from portrait.features.installation import DISTRIBUTION
from portrait.features.release import layout as release_layout
from portrait.features.release.layout import MODELS, TRAIT_HEADS
from portrait.features.release.manifest import Manifest
from portrait.server.triton import EmbeddedTriton, TritonError
from portrait.server.triton.connection import CHANNEL_OPTIONS
from portrait.training.run.run import TrainedRun


def export_release(
    trained: TrainedRun,
    metrics: dict[str, Any],
    repository: Path,
    precision: Precision,
    report: Callable[[str], None],
) -> tuple[Manifest, list[Parity]]:
    """Export a run as the next release of a repository.

    Everything is built and checked in a staging folder beside the repository, and moved only if every check passes.

    Args:
        trained: the run.
        metrics: metrics of the run, by split.
        repository: Triton's model repository; created if missing.
        precision: number format of the graphs.
        report: called with a description of each step before it begins.

    Returns:
        The manifest, and the parity of each graph in ONNX Runtime and in Triton.

    Raises:
        RepositoryError: the repository has releases of other dimensions, or a configuration that can't be read.
        ExportError: a graph does not agree with the model, Triton can't load it, or no release number is left.
    """
    dimension = trained.settings.dimension
    exported = graphs(trained)
    lengths = {
        "dimension": dimension,
        "hidden": trained.model.text.project.in_features,
        "traits": _count_traits(trained),
    }
    dims = {graph.name: graph.dims(**lengths) for graph in exported}
    for model in dims:
        configurations.require_room(repository, model, dims[model])
    repository.mkdir(parents=True, exist_ok=True)
    number = _next_number(repository)
    with tempfile.TemporaryDirectory(dir=repository.parent, prefix=".release-") as name:
        staging = Path(name)
        checks = []
        for graph in exported:
            report(f"{graph.name}: ONNX, opset {OPSET}, {precision.of(graph.name)}")
            path = release_layout.model_file(staging, graph.name, number)
            path.parent.mkdir(parents=True)
            export(graph, dimension, precision, path)
            _require_dims(graph, path, dims[graph.name])
            configurations.place(staging, graph.name, dims[graph.name])
            checks.append(parity.check_runtime(graph, path, dimension, precision))
        parity.require(checks)
        report("Triton: loading and comparing all graphs")
        checks.extend(_check_triton(exported, staging, number, dimension, precision))
        parity.require(checks)
        report("item index")
        folder = release_layout.release_folder(staging, number)
        folder.mkdir(parents=True)
        retrieval = index.write(trained, folder)
        shutil.copy(trained.folder / release_layout.TOKENIZER, folder / release_layout.TOKENIZER)
        if (trained.folder / release_layout.REPORT).exists():
            shutil.copy(trained.folder / release_layout.REPORT, folder / release_layout.REPORT)
        names = [graph.name for graph in exported]
        manifest = _make_manifest(trained, metrics, staging, number, precision, names, checks, retrieval)
        _move_into_place(staging, repository, number, dims)
    manifest.write(release_layout.release_folder(repository, number))
    return manifest, checks


def _count_traits(trained: TrainedRun) -> int:
    heads = trained.traits.heads if trained.traits else None
    return len(heads.heads) if heads else 0


def _next_number(repository: Path) -> int:
    """Return one more than the highest number in the repository, unfinished releases included."""
    folders = (path for model in (*MODELS, TRAIT_HEADS) for path in (repository / model).glob("*/"))
    versions = (parse_folder_number(path.name, release_layout.MAX_RELEASE) for path in folders)
    number = 1 + max(
        [0, *release_layout.list_releases(repository), *(version for version in versions if version is not None)]
    )
    if number > release_layout.MAX_RELEASE:
        raise ExportError(f"{repository} holds release {release_layout.MAX_RELEASE}, and no higher number is left")
    return number


def _require_dims(graph: Graph, path: Path, dims: Dims) -> None:
    """Require that the exported file has the dimensions that Triton's configuration will state."""
    found = configurations.read_dims(path)
    if found != dims:
        raise ExportError(f"the exported {graph.name} has the dimensions {found}, not {dims}")


def _check_triton(
    exported: list[Graph], staging: Path, number: int, dimension: int, precision: Precision
) -> list[Parity]:
    async def check() -> list[Parity]:
        async with EmbeddedTriton(staging, staging / "triton.log") as triton:
            await triton.load(number)
            infer = _make_infer(triton.url, number)
            return [
                await asyncio.to_thread(parity.check_triton, graph, infer, dimension, precision) for graph in exported
            ]

    try:
        return asyncio.run(check())
    except TritonError as error:
        raise ExportError(str(error)) from error


def _make_infer(url: str, number: int) -> Infer:
    client = InferenceServerClient(url, channel_args=list(CHANNEL_OPTIONS))

    def infer(
        model: str, inputs: Mapping[str, NDArray[np.generic]], outputs: list[str]
    ) -> dict[str, NDArray[np.float32]]:
        tensors = []
        for name, value in inputs.items():
            tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
            tensor.set_data_from_numpy(value)
            tensors.append(tensor)
        wanted = [InferRequestedOutput(name) for name in outputs]
        response = client.infer(model, tensors, model_version=str(number), outputs=wanted)
        return {name: response.as_numpy(name) for name in outputs}

    return infer


def _make_manifest(
    trained: TrainedRun,
    metrics: dict[str, Any],
    staging: Path,
    number: int,
    precision: Precision,
    names: list[str],
    checks: list[Parity],
    retrieval: Retrieval,
) -> Manifest:
    written = [
        *(release_layout.model_file(staging, model, number) for model in names),
        *release_layout.list_files(release_layout.release_folder(staging, number)),
    ]
    settings = trained.settings
    return Manifest(
        release=number,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        portrait_version=version(DISTRIBUTION),
        dimension=settings.dimension,
        subspaces=settings.subspaces,
        searches_read_past=bool(trained.ranker.searches_read_past),
        sentence_dimension=trained.model.text.project.in_features,
        event_numbers=list(EVENT_NUMBERS),
        candidate_features=list(CANDIDATE_FEATURES),
        ranker_inputs=list(RANKER_INPUTS),
        hashes={str(path.relative_to(staging)): sha256(path) for path in sorted(written)},
        data=trained.data["report"] | {"identity": trained.data["identity"]},
        training={
            "base_model": settings.base_model,
            "finetune": settings.finetune.value,
            "preset": settings.preset.value,
            "split": settings.split.value,
            "refit": settings.refit,
            "seed": settings.seed,
            **({"unlearning": trained.unlearning} if trained.unlearning else {}),
        },
        metrics=metrics,
        statistics=list(STATISTICS) if TRAIT_HEADS in names else [],
        traits=trained.traits.manifest_entries if trained.traits else [],
        export={
            "opset": OPSET,
            "precision": precision.value,
            "parity": {f"{check.graph} in {check.runtime}": check.difference for check in checks},
            "retrieval": dataclasses.asdict(retrieval),
        },
    )


def _move_into_place(staging: Path, repository: Path, number: int, dims: dict[str, Dims]) -> None:
    for model in dims:
        configurations.place(repository, model, dims[model])
        (staging / model / str(number)).rename(repository / model / str(number))
    target = release_layout.release_folder(repository, number)
    target.parent.mkdir(exist_ok=True)
    release_layout.release_folder(staging, number).rename(target)
