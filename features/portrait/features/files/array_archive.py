"""Several arrays in one file, which `np.load` reads."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by their names, in the format of `np.savez`.

    `np.savez` leaves its archive open if a write fails, and its end then prints a traceback.

    Raises:
        OSError: the file can't be written, for example because the disk is full.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
