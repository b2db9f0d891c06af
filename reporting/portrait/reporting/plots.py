"""Plots as SVG inside the page: no script, no file beside it, readable without colour.

Lengths are pixels of a drawing that is as wide as a phone; a page scales it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from portrait.reporting.estimates import Estimate, ReliabilityPoint
from portrait.reporting.figures import GainPoint

WIDTH = 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 14, 14, 46
_HEIGHT = 300
_LEGEND = 20
_ROW = 40

OURS, OTHERS, INK, FAINT = "#0b4f9e", "#6b6b6b", "#222222", "#d4d4d4"


@dataclass(frozen=True)
class _Scale:
    """Maps values to pixels, on a linear or a logarithmic axis."""

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        low, high, value = (
            self._transform(each) for each in (self.low, self.high, min(max(value, self.low), self.high))
        )
        return round(self.begin + (value - low) / (high - low) * (self.end - self.begin), 1)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            return [10.0**power for power in powers]
        raw = (self.high - self.low) / 4
        unit = 10.0 ** math.floor(math.log10(raw))
        step = unit * min((1, 2, 2.5, 5, 10), key=lambda factor: abs(factor * unit - raw))
        first = math.ceil(self.low / step - 1e-9)
        return [step * count for count in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _transform(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


@dataclass(frozen=True)
class Row:
    """A row of a plot of intervals."""

    name: str
    ours: Estimate
    other: Estimate | None = None
    """Value to compare with, drawn as a square below."""
    stands_out: bool = True
    """True to draw the row in colour."""


def draw_reliability(points: Sequence[ReliabilityPoint], label: str, logarithmic: bool = True) -> Markup:
    """Draw observed frequencies against predicted probabilities; on the diagonal they agree.

    Args:
        points: points with ascending probabilities.
        label: description of the plot for screen readers.
        logarithmic: use logarithmic axes that fit small probabilities; otherwise both axes go from 0 to 1.
    """
    low, high = 0.0, 1.0
    if logarithmic:
        shown = [value for point in points for value in (point.predicted, point.rate.low, point.rate.high) if value > 0]
        low, high = min(shown) / 1.3, min(1.0, max(shown) * 1.3)
    x = _Scale(low, high, _LEFT, WIDTH - _RIGHT, logarithmic)
    y = _Scale(low, high, _HEIGHT - _BOTTOM, _TOP + _LEGEND, logarithmic)
    parts = [
        *_axes(x, y, format_axis_share, format_axis_share, "chance that the model gave", "share that came true"),
        _line(x.at(low), y.at(low), x.at(high), y.at(high), OTHERS, "5 4"),
        _line(_LEFT, _TOP, _LEFT + 26, _TOP, OTHERS, "5 4"),
        _text(_LEFT + 32, _TOP + 4, "where prediction and truth agree", OTHERS),
    ]
    for point in points:
        across = x.at(point.predicted)
        parts.append(_line(across, y.at(point.rate.low), across, y.at(point.rate.high), OURS))
        parts.append(_dot(across, y.at(point.rate.value), filled=point.count > 0))
    return _svg(_HEIGHT, label, parts)


def draw_gain(curve: Sequence[GainPoint], label: str) -> Markup:
    """Draw the cumulative gain: share of the targets among the items shown, by their number."""
    x = _Scale(curve[0].shown, curve[-1].shown, _LEFT, WIDTH - _RIGHT, logarithmic=True)
    y = _Scale(0.0, 1.0, _HEIGHT - _BOTTOM, _TOP + _LEGEND)
    series = [
        ("Portrait", [point.ours for point in curve], OURS, ""),
        ("popularity", [point.popularity for point in curve], OTHERS, "7 3"),
        ("at random", [point.random for point in curve], OTHERS, "2 4"),
    ]
    parts = _axes(
        x, y, format_count, format_axis_share, "items shown to each shopper, on average", "of the next items among them"
    )
    for place, (name, values, colour, dash) in enumerate(series):
        line = " ".join(f"{x.at(point.shown)},{y.at(value)}" for point, value in zip(curve, values, strict=True))
        parts.append(
            Markup('<polyline points="{}" fill="none" stroke="{}" stroke-width="2" stroke-dasharray="{}"/>').format(
                line, colour, dash
            )
        )
        begin = _LEFT + 112 * place
        parts.append(_line(begin, _TOP, begin + 26, _TOP, colour, dash))
        parts.append(_text(begin + 32, _TOP + 4, name, colour))
    return _svg(_HEIGHT, label, parts)


def draw_intervals(rows: Sequence[Row], unit: Callable[[float], str], axis: str, label: str) -> Markup:
    """Draw values with their 95% intervals, one row each.

    Args:
        rows: rows from top to bottom.
        unit: formats a value for the axis.
        axis: title of the axis.
        label: description of the plot for screen readers.
    """
    maximum = max(estimate.high for row in rows for estimate in (row.ours, row.other) if estimate)
    bottom = _TOP + _ROW * len(rows)
    x = _Scale(0.0, maximum * 1.05 or 1.0, 12, WIDTH - 24)
    parts = []
    for tick in x.ticks():
        parts.append(_line(x.at(tick), _TOP, x.at(tick), bottom, FAINT))
        parts.append(_text(x.at(tick), bottom + 16, unit(tick), INK, "middle"))
    parts.append(_text(WIDTH / 2, bottom + 36, axis, INK, "middle"))
    for place, row in enumerate(rows):
        top = _TOP + _ROW * place
        parts.append(_text(12, top + 11, row.name, INK, halo=True))
        if row.other:
            parts += _draw_interval(x, row.other, top + 31, OTHERS, square=True)
        parts += _draw_interval(x, row.ours, top + 22, OURS if row.stands_out else OTHERS)
    return _svg(bottom + _BOTTOM, label, parts)


def format_share(value: float) -> str:
    """Format a share in percent, with two significant digits below 10%."""
    digits = 0 if value <= 0 or value >= 0.1 else -math.floor(math.log10(value)) - 1
    return f"{value:.{digits}%}"


def format_axis_share(value: float) -> str:
    """Format a round share for an axis."""
    return f"{100 * value:g}%"


def format_count(value: float) -> str:
    """Format a whole number."""
    return f"{value:,.0f}"


def _axes(
    x: _Scale, y: _Scale, x_unit: Callable[[float], str], y_unit: Callable[[float], str], x_name: str, y_name: str
) -> list[Markup]:
    parts = []
    for tick in x.ticks():
        parts.append(_line(x.at(tick), y.begin, x.at(tick), y.end, FAINT))
        parts.append(_text(x.at(tick), y.begin + 16, x_unit(tick), INK, "middle"))
    for tick in y.ticks():
        parts.append(_line(x.begin, y.at(tick), x.end, y.at(tick), FAINT))
        parts.append(_text(x.begin - 5, y.at(tick) + 4, y_unit(tick), INK, "end"))
    middle = (y.begin + y.end) / 2
    parts.append(_text((x.begin + x.end) / 2, y.begin + 36, x_name, INK, "middle"))
    parts.append(
        Markup('<text x="12" y="{}" transform="rotate(-90 12 {})" text-anchor="middle" fill="{}">{}</text>').format(
            middle, middle, INK, y_name
        )
    )
    return parts


def _draw_interval(x: _Scale, estimate: Estimate, height: float, colour: str, square: bool = False) -> Iterator[Markup]:
    yield _line(x.at(estimate.low), height, x.at(estimate.high), height, colour)
    if square:
        yield Markup('<rect x="{}" y="{}" width="7" height="7" fill="white" stroke="{}" stroke-width="2"/>').format(
            x.at(estimate.value) - 3.5, height - 3.5, colour
        )
    else:
        yield _dot(x.at(estimate.value), height, colour)


def _dot(x: float, y: float, colour: str = OURS, filled: bool = True) -> Markup:
    return Markup('<circle cx="{}" cy="{}" r="4.5" fill="{}" stroke="{}" stroke-width="2"/>').format(
        x, y, colour if filled else "white", colour
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}" stroke-dasharray="{}"/>').format(
        x1, y1, x2, y2, colour, 1 if colour == FAINT else 2, dash
    )


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start", halo: bool = False) -> Markup:
    style = Markup(' style="paint-order:stroke" stroke="white" stroke-width="4"') if halo else Markup()
    return Markup('<text x="{}" y="{}" text-anchor="{}" fill="{}"{}>{}</text>').format(
        x, y, anchor, colour, style, text
    )


def _svg(height: float, label: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}</svg>').format(
        WIDTH, height, label, label, Markup().join(parts)
    )
