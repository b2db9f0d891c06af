"""How a cost grows: points that a benchmark keeps beside its rows, for the plot of them all."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
CURVES_FILE = RESULTS / "serving-curves.json"


@dataclass(frozen=True)
class Curve:
    """One line of one panel."""

    panel: str
    """Its title, for example `Recommend, warm`."""
    name: str
    """The line's own name; empty if it is alone."""
    across: str
    """What grows, for example `items`."""
    unit: str
    """Of what is measured."""
    points: Sequence[tuple[float, float]]
    """What grows → what was measured."""


def keep_curves(curves: Sequence[Curve]) -> None:
    """Keep curves in the place of those of the same panel and name."""
    kept = {(curve.panel, curve.name): curve for curve in [*read_curves(), *curves]}
    CURVES_FILE.write_text(json.dumps([asdict(curve) for curve in kept.values()], indent=2) + "\n", encoding="utf-8")


def read_curves() -> list[Curve]:
    """All that are kept."""
    return (
        [Curve(**each) for each in json.loads(CURVES_FILE.read_text(encoding="utf-8"))] if CURVES_FILE.exists() else []
    )


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Draw a panel for each title, side by side, both axes logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    panels = list(dict.fromkeys(curve.panel for curve in curves))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.5 * len(panels), 3.5), squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        shown = [curve for curve in curves if curve.panel == panel]
        for curve in shown:
            across, measured = zip(*curve.points, strict=True)
            axis.loglog(across, measured, marker="o", label=curve.name)
        axis.set(title=panel, xlabel=shown[0].across, ylabel=shown[0].unit)
        axis.set_ylim(bottom=0.5 * min(y for curve in shown for _, y in curve.points))
        if any(curve.name for curve in shown):
            axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
