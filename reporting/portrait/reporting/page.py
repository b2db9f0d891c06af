"""The report as one HTML file, which loads nothing and runs nothing."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from portrait.features.files.atomic_write import atomic_write
from portrait.reporting import plots
from portrait.reporting.comparisons import Comparison
from portrait.reporting.estimates import Estimate
from portrait.reporting.examples import MIN_EVENTS
from portrait.reporting.fairness.tables import make_tables
from portrait.reporting.figures import Figures
from portrait.reporting.groups import MIN_GROUP_SHOPPERS
from portrait.reporting.plots import Row
from portrait.reporting.slices import Slicing

_TEMPLATE = "page.html.jinja"


def write_page(figures: Figures, path: Path) -> None:
    """Write the page atomically; an existing page is replaced."""
    with atomic_write(path) as temporary:
        temporary.write_text(render_page(figures), encoding="utf-8")


def render_page(figures: Figures) -> str:
    """Render the page as text; titles and names are escaped."""
    environment = Environment(
        loader=PackageLoader("portrait.reporting", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        share=plots.format_share,
        count=plots.format_count,
        percent=_format_percent,
        points=_format_points,
        figure=_format_estimate,
        one_in=_format_one_in,
    )
    return environment.get_template(_TEMPLATE).render(
        figures=figures,
        minimum_group=MIN_GROUP_SHOPPERS,
        minimum_events=MIN_EVENTS,
        fairness_tables=make_tables(figures.fairness),
        reliability_plot=plots.draw_reliability,
        gain_plot=plots.draw_gain,
        slicing_plot=_draw_slicing,
        comparison_plot=_draw_comparison,
    )


def _draw_slicing(cut: Slicing, label: str) -> Markup:
    rows = [Row(each.name, each.ours, each.popularity) for each in cut.slices]
    return plots.draw_intervals(
        rows, plots.format_axis_share, "hit rate among the first ten; bars are 95% intervals", label
    )


def _draw_comparison(table: Comparison, label: str) -> Markup:
    rows = [Row(model.name, model.values[0], stands_out=model.name.startswith("Portrait")) for model in table.models]
    return plots.draw_intervals(rows, "{:.3g}".format, f"{table.measures[0]}; bars are 95% intervals", label)


def _format_percent(estimate: Estimate) -> Markup:
    """Format a share with its interval. If all shoppers have the same value, the bootstrap interval is empty."""
    alike = estimate.low == estimate.high
    return _format_with_interval(
        f"{estimate.value:.1%}", "all the same" if alike else f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"
    )


def _format_points(estimate: Estimate) -> Markup:
    """Format a difference of shares in percentage points."""
    value, low, high = (
        f"{100 * each:+.1f}".replace("-", "−") for each in (estimate.value, estimate.low, estimate.high)
    )
    return _format_with_interval(value, f"{low} to {high}")


def _format_estimate(estimate: Estimate) -> Markup:
    return _format_with_interval(f"{estimate.value:.4f}", f"{estimate.low:.4f} to {estimate.high:.4f}")


def _format_with_interval(value: str, interval: str) -> Markup:
    return Markup('{} <span class="interval">({})</span>').format(value, interval)


def _format_one_in(value: float) -> str:
    """Format a share as people say it: `7 in 10`, `1 in 3`, `1 in 35`."""
    if value >= 0.4:
        return f"{10 * value:.0f} in 10"
    return f"1 in {1 / value:,.0f}" if value > 0 else "none"
