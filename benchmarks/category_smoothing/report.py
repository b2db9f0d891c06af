"""The result as Markdown."""

from collections.abc import Iterator
from typing import Any

from benchmarks.category_smoothing.histories import NEXT_EVENTS
from benchmarks.category_smoothing.models import TREE
from benchmarks.common.results import format_origin

_WAYS = {
    "validation": "Validation, histories cut to their latest events",
    "cut": "Test, histories cut to their latest events",
    "whole": "Test, shoppers who have so many events",
}
_METRICS = ("log-likelihood", "recall@5", "recall@10", "recall@10 of new")


def format_report(content: dict[str, Any]) -> str:
    """Format tables for each data set."""
    return "\n".join(
        [
            "# Interests smoothed by the category tree",
            "",
            f"{format_origin(content['circumstances'])} Split by time; strengths are chosen on validation, the test is "
            f"measured once. Log-likelihood: of the categories of a shopper's next {NEXT_EVENTS} events, a mean in "
            "nats. Recall: of these categories among the first k; *of new*: of those that the history lacks, all known "
            "ones left out. In brackets: the tree minus this, paired by shopper, with 95% bootstrap intervals.",
            *(line for measured in content["sets"] for line in _format_set(measured)),
            "",
        ]
    )


def _format_set(measured: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"## {measured['data']}", "")
    levels = ", ".join(f"{nodes:,}" for nodes in measured["levels"])
    yield f"{measured['categories']:,} categories; nodes by level: {levels}. Fitted on validation:"
    yield ""
    for name, fitted in measured["fitted"].items():
        if fitted:
            yield f"- {name}: {', '.join(f'{key} {value:g}' for key, value in fitted.items())}"
    averages = ", ".join(f"{name} {value:.4f}" for name, value in measured["likelihoods"].items())
    yield from ("", f"Log-likelihood on validation, mean of the groups: {averages}.")
    for way, title in _WAYS.items():
        groups = {group: found for group, found in measured[way].items() if found is not None}
        if groups:
            yield from ("", f"### {title}", "", "| events | model |" + "".join(f" {each} |" for each in _METRICS))
            yield "|---" * (2 + len(_METRICS)) + "|"
            for group, found in groups.items():
                yield from _format_group(group, found)
            moved = ", ".join(f"{found['moved']:.1%} ({group})" for group, found in groups.items())
            yield from ("", f"Probability that the tree moves from one category to another: {moved}.")


def _format_group(group: str, found: dict[str, Any]) -> Iterator[str]:
    for name, row in found["models"].items():
        cells = [_format_cell(name, row.get(metric)) for metric in _METRICS]
        yield f"| {group} ({found['shoppers']:,}) | {name} | {' | '.join(cells)} |"


def _format_cell(name: str, measured: dict[str, Any] | None) -> str:
    if measured is None:
        return ""
    if name == TREE:
        return f"**{measured['value']:.4f}**"
    low, high = measured["interval"]
    return f"{measured['value']:.4f} ({measured['tree_minus']:+.4f}, {low:+.4f} to {high:+.4f})"
