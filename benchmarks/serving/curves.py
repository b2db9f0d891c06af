"""Curves of costs: points that a benchmark keeps beside its results, for a plot of them all."""

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
    """Title of the panel, for example `Recommend, warm`."""
    name: str
    """Name of the line; empty if the panel has one line."""
    across: str
    """Quantity of the x axis, for example `items`."""
    unit: str
    """Unit of the y axis."""
    points: Sequence[tuple[float, float]]
    """Pairs of x and y."""


def keep_curves(curves: Sequence[Curve]) -> None:
    """Store curves, replacing those of the same panel and name."""
    kept = {(curve.panel, curve.name): curve for curve in [*read_curves(), *curves]}
    CURVES_FILE.write_text(json.dumps([asdict(curve) for curve in kept.values()], indent=2) + "\n", encoding="utf-8")


def read_curves() -> list[Curve]:
    """Read all stored curves."""
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
