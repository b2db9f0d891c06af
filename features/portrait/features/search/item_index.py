"""The index that finds the nearest items of a release, by the file that the release has for it."""

from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.files.path_names import utf8_path
from portrait.features.search.ivf import IvfIndex
from portrait.features.search.scan import MIN_COMPARED, ScanIndex


def open_index(path: Path, vectors: NDArray[np.float32], looked_at: int = MIN_COMPARED) -> ScanIndex | IvfIndex:
    """Open an index, mapped into memory if it is an inverted file; processes share it then.

    Args:
        path: its file.
        vectors: `[rows, dimension]`, which it was made of.
        looked_at: rows that a search by codes compares, at least, as the release's manifest has it; an inverted file
            has its own number of lists.

    Raises:
        RuntimeError: the file is no index.
    """
    index = faiss.read_index(utf8_path(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    if isinstance(index, faiss.IndexPQFastScan):
        return ScanIndex(index, vectors, max(looked_at, MIN_COMPARED))
    return IvfIndex(index)
