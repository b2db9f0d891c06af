"""Traits of a run: kept beside its model, and loaded again.

<run>/traits.json    each declared trait: eligible or absent with its reason, its head, what was measured
<run>/traits.pt      the heads of those that are eligible
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.features.files.atomic_write import atomic_write
from portrait.features.histories.statistics import STATISTICS
from portrait.training import checkpoints
from portrait.training.errors import TrainingError
from portrait.training.traits.heads import Shape, TraitHead, TraitHeads

_DESCRIBED = ("name", "description", "horizon_days", "window_days", "absent", "calibration", "test", "auc_above_rfm")
REPORT, HEADS = "traits.json", "traits.pt"


@dataclass(frozen=True)
class Traits:
    """What a run knows of traits."""

    declared: list[dict[str, Any]]
    """Entries of the report, in the file's order."""
    heads: TraitHeads | None
    """One for each eligible trait, in the same order; None without any."""

    @property
    def names(self) -> list[str]:
        """The eligible ones: what the heads' outputs are."""
        return [entry["name"] for entry in self.declared if entry["absent"] is None]

    @property
    def described(self) -> list[dict[str, Any]]:
        """What a release's manifest says of each declared trait."""
        return [{name: entry[name] for name in _DESCRIBED if name in entry} for entry in self.declared]


def keep(traits: Traits, folder: Path, dimension: int) -> None:
    """Write the traits of a run; the report goes last: heads without it don't count."""
    (folder / REPORT).unlink(missing_ok=True)
    if traits.heads is not None:
        checkpoints.save(traits.heads.state_dict(), folder / HEADS)
    content = {"dimension": dimension, "statistics": list(STATISTICS), "traits": traits.declared}
    with atomic_write(folder / REPORT) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path) -> Traits | None:
    """The traits of a run; None if it has learnt none.

    Raises:
        TrainingError: they were learnt from other statistics.
    """
    if not (folder / REPORT).exists():
        return None
    content = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    if content["statistics"] != list(STATISTICS):
        raise TrainingError(
            f"{folder / REPORT} was learnt from other statistics; delete it, and run `portrait train-traits` again"
        )
    shapes = [
        Shape(entry["head"]["profile"], entry["head"]["hidden"]) for entry in content["traits"] if not entry["absent"]
    ]
    if not shapes:
        return Traits(content["traits"], None)
    dimension = content["dimension"]
    loaded = TraitHeads([TraitHead(dimension, range(len(STATISTICS)), shape) for shape in shapes])
    loaded.load_state_dict(checkpoints.load(folder / HEADS))
    return Traits(content["traits"], loaded.eval())
