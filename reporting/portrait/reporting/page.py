"""The report as one HTML file, which loads nothing and runs nothing."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from portrait.features.files.atomic_write import atomic_write
from portrait.reporting import plots
from portrait.reporting.comparisons import Comparison
from portrait.reporting.estimates import Estimate
from portrait.reporting.examples import MINIMUM_EVENTS
from portrait.reporting.figures import Figures
from portrait.reporting.plots import Row
from portrait.reporting.slices import MINIMUM_GROUP, Slicing

_TEMPLATE = "page.html.jinja"


def write(figures: Figures, path: Path) -> None:
    """Write the page, all of it or nothing; a page that stands there is replaced."""
    with atomic_write(path) as temporary:
        temporary.write_text(render(figures), encoding="utf-8")


def render(figures: Figures) -> str:
    """The page as text; whatever stands in titles and names is escaped."""
    environment = Environment(
        loader=PackageLoader("portrait.reporting", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        share=plots.share, count=plots.count, percent=_percent, points=_points, figure=_figure, one_in=_one_in
    )
    return environment.get_template(_TEMPLATE).render(
        figures=figures,
        minimum_group=MINIMUM_GROUP,
        minimum_events=MINIMUM_EVENTS,
        reliability_plot=plots.reliability,
        gain_plot=plots.gain,
        slicing_plot=_slicing_plot,
        comparison_plot=_comparison_plot,
    )


def _slicing_plot(cut: Slicing, label: str) -> Markup:
    rows = [Row(each.name, each.ours, each.popularity) for each in cut.slices]
    return plots.whiskers(rows, plots.mark, "hit rate among the first ten; bars are 95% intervals", label)


def _comparison_plot(table: Comparison, label: str) -> Markup:
    rows = [Row(model.name, model.values[0], stands_out=model.name.startswith("Portrait")) for model in table.models]
    return plots.whiskers(rows, "{:.3g}".format, f"{table.measures[0]}; bars are 95% intervals", label)


def _percent(estimate: Estimate) -> Markup:
    """A share with its interval; where all shoppers fared alike, a bootstrap finds none."""
    alike = estimate.low == estimate.high
    return _told(
        f"{estimate.value:.1%}", "all the same" if alike else f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"
    )


def _points(estimate: Estimate) -> Markup:
    """A difference of shares, in percentage points."""
    value, low, high = (
        f"{100 * each:+.1f}".replace("-", "−") for each in (estimate.value, estimate.low, estimate.high)
    )
    return _told(value, f"{low} to {high}")


def _figure(estimate: Estimate) -> Markup:
    return _told(f"{estimate.value:.4f}", f"{estimate.low:.4f} to {estimate.high:.4f}")


def _told(value: str, interval: str) -> Markup:
    return Markup('{} <span class="interval">({})</span>').format(value, interval)


def _one_in(value: float) -> str:
    """A share as people say it: `7 in 10`, `1 in 3`, `1 in 35`."""
    if value >= 0.4:
        return f"{10 * value:.0f} in 10"
    return f"1 in {1 / value:,.0f}" if value > 0 else "none"
