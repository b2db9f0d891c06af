"""The fields of a release's collection, the rows that are put into it, and the index of their vectors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from pymilvus import CollectionSchema, DataType, MilvusClient
from pymilvus.milvus_client.index import IndexParams

from portrait.features.search.indexed_rows import IndexedRows
from portrait.server.search.milvus.expressions import BRAND, CATALOGUE, IS_COLD, PATH, PRICE

ROW, VECTOR = "row", "vector"
METRIC = "IP"
_BATCH_BYTES = 4 << 20
"""Vectors that are sent in one call."""
_LINKS, _EFFORT = 32, 200
"""Parameters of HNSW: links of a node, and candidates at build time."""


def make_schema(dimension: int) -> CollectionSchema:
    """Make the schema of a collection of such vectors."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ROW, DataType.INT64, is_primary=True)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dimension)
    for name in (CATALOGUE, PATH, BRAND):
        schema.add_field(name, DataType.INT32)
    schema.add_field(PRICE, DataType.DOUBLE)
    schema.add_field(IS_COLD, DataType.BOOL)
    return schema


def make_index() -> IndexParams:
    """Make the parameters of the index of a collection's vectors."""
    index = MilvusClient.prepare_index_params()
    index.add_index(VECTOR, index_type="HNSW", metric_type=METRIC, params={"M": _LINKS, "efConstruction": _EFFORT})
    return index


def batch_rows(rows: IndexedRows) -> Iterator[list[dict[str, Any]]]:
    """Yield all rows as Milvus takes them, some megabytes at a time."""
    size = max(1, _BATCH_BYTES // (4 * rows.vectors.shape[1]))
    for first in range(0, len(rows), size):
        part = slice(first, first + size)
        columns = {
            ROW: range(len(rows))[part],
            VECTOR: rows.vectors[part].astype(np.float32),
            CATALOGUE: rows.catalogue[part].tolist(),
            PATH: rows.path[part].tolist(),
            BRAND: rows.brand[part].tolist(),
            PRICE: np.nan_to_num(rows.price[part]).tolist(),
            IS_COLD: rows.is_cold[part].tolist(),
        }
        yield [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
