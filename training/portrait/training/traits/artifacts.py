"""Traits of a run: kept beside its model, and loaded again.

<run>/traits.json           each declared trait: eligible or absent with its reason, its head, what was measured
<run>/traits.pt             the heads of those that are eligible
<run>/traits-test.parquet   their probabilities on the test, and what came true
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from portrait.features.files.atomic_write import atomic_write
from portrait.features.files.path_names import utf8_path
from portrait.features.histories.statistics import STATISTICS
from portrait.training import checkpoints
from portrait.training.dataset import readers, tables
from portrait.training.errors import TrainingError
from portrait.training.traits.heads import HeadShape, TraitHead, TraitHeads

_MANIFEST_FIELDS = (
    "name",
    "description",
    "horizon_days",
    "window_days",
    "absent",
    "calibration",
    "test",
    "auc_above_rfm",
    "tested_until",
    "distribution",
)
REPORT_FILE, HEADS_FILE, TEST_FILE = "traits.json", "traits.pt", "traits-test.parquet"
_TEST_SCHEMA = {"trait": pl.String, "shopper": pl.Int64, "label": pl.Boolean, "probability": pl.Float64}


@dataclass(frozen=True)
class FittedTraits:
    """Traits of a run: the declared ones and the heads of the eligible ones."""

    declared: list[dict[str, Any]]
    """Entries of the report, in the file's order."""
    heads: TraitHeads | None
    """One for each eligible trait, in the same order; None without any."""

    @property
    def names(self) -> list[str]:
        """The eligible ones: what the heads' outputs are."""
        return [entry["name"] for entry in self.declared if entry["absent"] is None]

    @property
    def manifest_entries(self) -> list[dict[str, Any]]:
        """Entries of a release's manifest, one for each declared trait."""
        return [{name: entry[name] for name in _MANIFEST_FIELDS if name in entry} for entry in self.declared]


@dataclass(frozen=True)
class TraitPredictions:
    """Probabilities of one trait on its test, and what came true; a shopper may have several samples."""

    shopper: NDArray[np.int64]
    """`[samples]`: row of the shopper in the corpus."""
    label: NDArray[np.bool_]
    """`[samples]`."""
    probability: NDArray[np.float64]
    """`[samples]`."""


def save_traits(traits: FittedTraits, folder: Path, dimension: int, predictions: dict[str, TraitPredictions]) -> None:
    """Write the traits of a run; the report goes last: heads without it don't count.

    Args:
        traits: the traits.
        folder: the run's.
        dimension: of its profiles.
        predictions: those of each eligible trait on its test.
    """
    (folder / REPORT_FILE).unlink(missing_ok=True)
    rows = [
        pl.DataFrame({"trait": name, "shopper": of.shopper, "label": of.label, "probability": of.probability})
        for name, of in predictions.items()
    ]
    with atomic_write(folder / TEST_FILE) as temporary:
        pl.concat([pl.DataFrame(schema=_TEST_SCHEMA), *rows]).write_parquet(utf8_path(temporary))
    if traits.heads is not None:
        checkpoints.save_state(traits.heads.state_dict(), folder / HEADS_FILE)
    content = {"dimension": dimension, "statistics": list(STATISTICS), "traits": traits.declared}
    with atomic_write(folder / REPORT_FILE) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_traits(folder: Path) -> FittedTraits | None:
    """The traits of a run; None if it has learnt none.

    Raises:
        TrainingError: they were learnt from other statistics.
    """
    if not (folder / REPORT_FILE).exists():
        return None
    content = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    if content["statistics"] != list(STATISTICS):
        raise TrainingError(
            f"{folder / REPORT_FILE} was learnt from other statistics; delete it, and run `portrait train-traits` again"
        )
    shapes = [
        HeadShape(entry["head"]["profile"], entry["head"]["hidden"])
        for entry in content["traits"]
        if not entry["absent"]
    ]
    if not shapes:
        return FittedTraits(content["traits"], None)
    dimension = content["dimension"]
    loaded = TraitHeads([TraitHead(dimension, range(len(STATISTICS)), shape) for shape in shapes])
    loaded.load_state_dict(checkpoints.load_state(folder / HEADS_FILE))
    return FittedTraits(content["traits"], loaded.eval())


def load_test_predictions(folder: Path) -> dict[str, TraitPredictions]:
    """Read the predictions of each trait of a run on its test; none if its traits were learnt before they were kept.

    Raises:
        TrainingError: the file is damaged.
    """
    path = folder / TEST_FILE
    if not path.exists():
        return {}
    try:
        rows = readers.read_parquet(path).cast(pl.Schema(_TEST_SCHEMA))
    except tables.READ_ERRORS as error:
        raise TrainingError(f"{path} is damaged; run `portrait train-traits` again ({error})") from error
    return {
        str(name): TraitPredictions(*(part[column].to_numpy() for column in ("shopper", "label", "probability")))
        for (name,), part in rows.group_by("trait", maintain_order=True)
    }
