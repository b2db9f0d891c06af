"""Sparse matrices: what SciPy lacks."""

import numpy as np
from scipy import sparse


def keep_largest(matrix: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """Keep the largest entries of each row."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, row))
    kept = order[np.arange(len(order)) - matrix.indptr[row] < count]
    return sparse.csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)
