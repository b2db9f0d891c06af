"""Variants of a release that answer differently, so that the numbers of an answer identify its release."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from portrait.features.files.integrity import sha256
from portrait.features.release import layout as release_layout
from portrait.features.release.manifest import Manifest

_GAIN = 1.1
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def copy_with_variants(repository: Path, folder: Path, count: int) -> list[int]:
    """Copy the newest release of a repository and make variants of it, with the numbers that follow.

    Args:
        repository: is not changed.
        folder: becomes the copy; files that are equal are hard links if they can be.
        count: how many releases it holds in the end.

    Returns:
        their numbers, the copied one first.
    """
    first = release_layout.list_releases(repository)[-1]
    for model in release_layout.list_models(repository, first):
        _copy_tree(repository / model / str(first), folder / model / str(first))
        shutil.copy(repository / model / "config.pbtxt", folder / model)
    _copy_tree(release_layout.release_folder(repository, first), release_layout.release_folder(folder, first))
    numbers = [first + place for place in range(count)]
    for place, number in enumerate(numbers[1:], start=1):
        _make_variant(folder, first, number, _GAIN**place)
    return numbers


def _make_variant(repository: Path, first: int, number: int, gain: float) -> None:
    """Make a release whose graphs have other weights, and whose items have other vectors."""
    source, target = release_layout.release_folder(repository, first), release_layout.release_folder(repository, number)
    _copy_tree(source, target)
    (target / release_layout.MANIFEST).unlink()
    models = release_layout.list_models(repository, first)
    for model in models:
        path = release_layout.model_file(repository, model, number)
        path.parent.mkdir()
        onnx.save(_amplify(onnx.load(release_layout.model_file(repository, model, first)), gain), path)
    vectors = np.load(source / release_layout.ITEM_VECTORS)
    (target / release_layout.ITEM_VECTORS).unlink()  # a link to the first release's
    (target / release_layout.ITEM_INDEX).unlink(missing_ok=True)  # of the first release's vectors
    np.save(target / release_layout.ITEM_VECTORS, vectors[:, ::-1] if number - first == 1 else -vectors)
    manifest = json.loads((source / release_layout.MANIFEST).read_text(encoding="utf-8"))
    written = [
        *(release_layout.model_file(repository, model, number) for model in models),
        *filter(Path.is_file, target.rglob("*")),
    ]
    hashes = {str(path.relative_to(repository)): sha256(path) for path in written}
    told = manifest["export"] | {"retrieval": {"kind": "exact"}}
    Manifest(**{**manifest, "release": number, "hashes": hashes, "export": told}).write(target)


def _amplify(model: onnx.ModelProto, gain: float) -> onnx.ModelProto:
    for weights in model.graph.initializer:
        if weights.data_type in _FLOATS and len(weights.dims) == 2:
            values = numpy_helper.to_array(weights)
            weights.CopyFrom(numpy_helper.from_array((gain * values).astype(values.dtype), weights.name))
    return model


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
