"""Calibration of traits since their test, beside the audience tables of a release: `check_traits` writes it.

<audiences>/<identity of the release>/calibration.json
"""

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from portrait.features.files.atomic_write import atomic_write

_FILE = "calibration.json"
_NORMAL_95 = 1.96
"""The 97.5% point of the standard normal distribution."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TraitCalibration:
    """The probabilities of one trait at a moment, and what came true."""

    trait: str
    as_of: str
    """ISO 8601, UTC: the moment of the probabilities."""
    shoppers: int
    stated: float
    """Mean probability."""
    observed: float
    """Share of the shoppers for whom it came true."""
    low: float
    high: float
    """95% interval of `stated - observed`."""

    @property
    def excess(self) -> float:
        """Mean probability, minus how often it came true."""
        return self.stated - self.observed

    @classmethod
    def measure(
        cls, trait: str, as_of: str, probabilities: NDArray[np.floating[Any]], outcomes: NDArray[np.bool_]
    ) -> "TraitCalibration":
        """Compare probabilities with outcomes, of two shoppers at least, each once.

        The interval is that of the mean of the differences by the central limit theorem, so it needs some dozens of
        outcomes of either kind.
        """
        stated, observed = float(probabilities.mean()), float(outcomes.mean())
        spread = float(np.std(probabilities - outcomes, ddof=1))
        margin = _NORMAL_95 * spread / math.sqrt(len(outcomes))
        return cls(
            trait, as_of, len(outcomes), stated, observed, stated - observed - margin, stated - observed + margin
        )


def write_calibrations(found: Iterable[TraitCalibration], folder: Path) -> None:
    """Write what was found of a release's traits, in place of what was found before."""
    with atomic_write(folder / _FILE) as temporary:
        temporary.write_text(json.dumps([dataclasses.asdict(each) for each in found]), encoding="utf-8")


def read_calibrations(folder: Path) -> list[TraitCalibration]:
    """Read what was found; nothing if the file is missing, or damaged, which the log tells."""
    try:
        content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return [TraitCalibration(**each) for each in content]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        _log.error("trait_calibration_damaged", exception=type(error).__qualname__)
        return []
