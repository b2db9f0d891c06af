"""Plots are XML that loads nothing, whatever stands in their names, and at the ends of their scales."""

from xml.etree import ElementTree

import pytest

from portrait.reporting import plots
from portrait.reporting.estimates import Estimate, ReliabilityPoint
from portrait.reporting.figures import GainPoint
from portrait.reporting.plots import Row

HOSTILE = """</text><script src="http://x">'&"""


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert not root.findall(".//script")
    return [element.text or "" for element in root.iter("text")]


def test_names_are_escaped() -> None:
    row = Row(HOSTILE, Estimate(0.2, 0.1, 0.3), Estimate(0.1, 0.1, 0.1))
    svg = plots.draw_intervals([row], plots.format_axis_share, "share", HOSTILE)
    assert HOSTILE in texts(svg)
    assert ElementTree.fromstring(svg).get("aria-label") == HOSTILE


def test_a_plot_of_nothing_but_zeros_is_drawn() -> None:
    zero = Estimate(0.0, 0.0, 0.0)
    assert "none" in texts(plots.draw_intervals([Row("none", zero, zero)], plots.format_axis_share, "share", "zeros"))


def test_reliability_draws_a_dot_for_each_bin_even_where_nothing_came_true() -> None:
    points = [
        ReliabilityPoint(0.001, Estimate(0.0, 0.0, 0.002), 0.0),
        ReliabilityPoint(0.1, Estimate(0.11, 0.09, 0.13), 40.0),
    ]
    root = ElementTree.fromstring(plots.draw_reliability(points, "reliability"))
    empty, full = root.findall("circle")
    assert empty.get("fill") == "white"
    assert float(full.get("cx", 0)) > float(empty.get("cx", 0))
    assert float(full.get("cy", 0)) < float(empty.get("cy", 0))


def test_gain_names_its_lines() -> None:
    curve = [GainPoint(1, 0.1, 0.05, 0.01), GainPoint(100, 1, 1, 1)]
    assert {"Portrait", "popularity", "at random"} <= set(texts(plots.draw_gain(curve, "gain")))


@pytest.mark.parametrize(
    ("value", "told"), [(0.0, "0%"), (0.5, "50%"), (0.0605, "6.0%"), (0.00021, "0.021%"), (1.0, "100%")]
)
def test_shares_have_two_digits_that_say_something(value: float, told: str) -> None:
    assert plots.format_share(value) == told
