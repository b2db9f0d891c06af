"""Sparse matrices: what SciPy lacks."""

import numpy as np
from scipy import sparse


def keep_largest(matrix: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """Keep the largest entries of each row."""
    kept = np.ones(matrix.nnz, dtype=bool)
    for row in np.flatnonzero(np.diff(matrix.indptr) > count).tolist():
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        kept[part] = False
        kept[part.start + np.argpartition(-matrix.data[part], count - 1)[:count]] = True
    starts = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)
