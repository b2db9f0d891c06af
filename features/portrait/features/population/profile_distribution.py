"""The distribution of the shoppers' profiles: mean and covariance."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.features.files.array_archive import write_arrays


@dataclass(frozen=True)
class ProfileDistribution:
    """The profiles of the release's shoppers as a cloud: mean and covariance, no single one."""

    mean: NDArray[np.float32]
    """`[dimension]`."""
    covariance: NDArray[np.float32]
    """`[dimension, dimension]`."""
    item_mean: NDArray[np.float32]
    """`[dimension]`: of the items' vectors."""


def write_profile_distribution(profiles: ProfileDistribution, path: Path) -> None:
    """Write the cloud of profiles."""
    write_arrays(path, {name: value.astype(np.float32) for name, value in vars(profiles).items()})


def read_profile_distribution(path: Path) -> ProfileDistribution:
    """The inverse of `write_profile_distribution`."""
    with np.load(path) as arrays:
        return ProfileDistribution(**{each.name: arrays[each.name] for each in dataclasses.fields(ProfileDistribution)})
