"""The distribution of the shoppers' profiles: mean and covariance."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Profiles:
    """The profiles of the release's shoppers as a cloud: mean and covariance, no single one."""

    mean: NDArray[np.float32]
    """`[dimension]`."""
    covariance: NDArray[np.float32]
    """`[dimension, dimension]`."""
    item_mean: NDArray[np.float32]
    """`[dimension]`: of the items' vectors."""


def write_profiles(profiles: Profiles, path: Path) -> None:
    """Write the cloud of profiles."""
    with path.open("wb") as file:
        np.savez(file, **{name: value.astype(np.float32) for name, value in vars(profiles).items()})


def read_profiles(path: Path) -> Profiles:
    """The inverse of `write_profiles`."""
    with np.load(path) as arrays:
        return Profiles(**{each.name: arrays[each.name] for each in dataclasses.fields(Profiles)})
