"""The content identity of a prepared data set: a hash over what training reads.

Two folders of one identity train the same model. When and from which file a data set was prepared, the names of its
folders, and how its files are compressed have no part in it.
"""

import hashlib
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl

from portrait.training.dataset import tables

_BATCH_ROWS = 131_072

_Hashes = defaultdict[str, "hashlib._Hash"]


def read_identity(folder: Path) -> str:
    """The identity of a prepared data set, 64 hexadecimal digits; it reads all of its tables.

    Raises:
        TrainingError: the folder holds no data set.
    """
    whole = hashlib.sha256()
    for name, columns in {
        "events": tables.EVENT_COLUMNS,
        "items": tables.ITEM_COLUMNS,
        "shoppers": tables.SHOPPER_COLUMNS,
    }.items():
        if name == "shoppers" and not (folder / f"{name}.parquet").exists():
            continue
        for column, digest in sorted(_hash_table(folder, name, columns).items()):
            whole.update(f"{name}.{column} {digest}\n".encode())
    return whole.hexdigest()


def _hash_table(folder: Path, name: str, columns: dict[str, pl.DataType]) -> dict[str, str]:
    """A digest of each column, which does not depend on how many rows are read at a time."""
    hashes: _Hashes = defaultdict(hashlib.sha256)
    frame = tables.scan_table(folder, name, columns)
    try:
        for batch in frame.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
            for column in batch.iter_columns():
                _update_hashes(hashes, column.name, column)
    except tables.READ_ERRORS as error:
        raise tables.not_prepared_error(folder, f"{name}.parquet: {error}") from error
    return {column: digest.hexdigest() for column, digest in hashes.items()}


def _update_hashes(hashes: _Hashes, name: str, values: pl.Series) -> None:
    """Hash values: which are null, then those that are not; of texts and lists the lengths beside the content."""
    hashes[f"{name}?"].update(values.is_not_null().to_numpy().tobytes())
    known = values.drop_nulls()
    match known.dtype:
        case pl.String():
            hashes[f"{name}#"].update(_integer_bytes(known.str.len_bytes()))
            hashes[name].update(str(known.str.join("").item() or "").encode())
        case pl.List():
            lengths = known.list.len()
            hashes[f"{name}#"].update(_integer_bytes(lengths))
            _update_hashes(hashes, f"{name}[]", known.filter(lengths > 0).explode())
        case pl.Struct():
            for field in known.struct.fields:
                _update_hashes(hashes, f"{name}.{field}", known.struct.field(field))
        case pl.Float64():
            # Means and sums of several rows may differ in the last bits from one preparation to the next.
            hashes[name].update(known.to_numpy().astype("<f4").tobytes())
        case _:
            hashes[name].update(_integer_bytes(known))


def _integer_bytes(values: pl.Series) -> bytes:
    return values.to_physical().to_numpy().astype(np.dtype("<i8")).tobytes()
