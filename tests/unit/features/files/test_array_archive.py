"""Several arrays in one file."""

from pathlib import Path

import numpy as np
import pytest
from support.small_disk import small_disk

from portrait.features.files.array_archive import write_arrays


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = {"a.starts": np.arange(3), "b": np.ones((2, 2), np.float32), "empty": np.empty(0, np.int64)}
    write_arrays(tmp_path / "arrays.npz", written)
    with np.load(tmp_path / "arrays.npz") as read:
        assert list(read) == list(written)
        for name, array in written.items():
            assert read[name].dtype == array.dtype
            assert np.array_equal(read[name], array)


def test_the_same_arrays_are_the_same_bytes_as_those_of_numpy(tmp_path: Path) -> None:
    arrays = {"a": np.arange(1000), "b": np.ones(3)}
    write_arrays(tmp_path / "arrays", arrays)
    with (tmp_path / "numpy").open("wb") as file:
        np.savez(file, **arrays)
    assert (tmp_path / "arrays").read_bytes() == (tmp_path / "numpy").read_bytes()


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_an_error_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", mebibytes=1) as disk, pytest.raises(OSError, match="No space left"):
        write_arrays(disk / "arrays.npz", {"small": np.ones(3), "large": np.zeros(1 << 20)})
