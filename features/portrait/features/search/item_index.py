"""The index that finds the nearest items of a release, by the file that the release has for it."""

from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.files.path_names import utf8_path
from portrait.features.search.codes import Codes
from portrait.features.search.scan import MIN_COMPARED, ScanIndex


def open_index(path: Path, vectors: NDArray[np.float32], looked_at: int = MIN_COMPARED) -> ScanIndex:
    """Open an index of codes.

    Args:
        path: its file.
        vectors: `[rows, dimension]`, which it was made of.
        looked_at: rows that a search compares, at least, as the release's manifest has it.

    Raises:
        RuntimeError: the file is no index.
        ValueError: it is one of another kind, as earlier versions wrote.
    """
    codes = faiss.read_index(utf8_path(path))
    if not isinstance(codes, Codes):
        raise ValueError("it is an index of an earlier version; export the release once more")
    return ScanIndex(codes, vectors, max(looked_at, MIN_COMPARED))
