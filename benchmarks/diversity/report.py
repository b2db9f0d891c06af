"""The result as Markdown."""

from collections.abc import Iterator
from typing import Any

from benchmarks.common.results import format_origin

_COLUMNS = (
    "amount", "λ", "NDCG@10 on validation", "NDCG@10", "minus as it is", "relative", "distance", "minus as it is",
    "categories", "minus as it is", "catalogue shown",
)  # fmt: skip


def format_report(content: dict[str, Any]) -> str:
    """Format a table for each run."""
    return "\n".join(
        [
            "# The price of diversity",
            "",
            f"{format_origin(content['circumstances'])} The ranking of the run, as it is (amount 0) and ordered anew "
            "by the rule `diversify`. Figures are of the test, but for those on validation; differences from the "
            "ranking as it is are paired by shopper, with 95% bootstrap intervals. Distance: one minus the cosine of "
            "two of the first ten items, on average. Categories: distinct category paths among them. Catalogue shown: "
            "share of all items that stand among the first ten of any shopper. **Bold**: the largest amount that costs "
            "at most 1% of NDCG@10 on validation.",
            *(line for run in content["runs"] for line in _format_run(run)),
            "",
        ]
    )


def _format_run(run: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"## {run['data']}, split {run['split']}", "")
    yield f"{run['test'][0]['shoppers']:,} shoppers, {run['items']:,} items."
    yield from ("", f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|")
    for validated, row in zip(run["validation"], run["test"], strict=True):
        amount = f"{row['amount']:g}"
        paired = row["minus_plain"]["NDCG@10"]
        cells = [
            f"**{amount}**" if row["amount"] == run["chosen"] else amount,
            f"{1.0 / (1.0 + row['amount']):.2f}",
            f"{validated['ndcg']:.4f}",
            f"{row['ndcg']:.4f}",
            _format_difference(paired, 4),
            f"{paired['relative']:+.1%}",
            *_format_list(row["lists"].get("distance"), 3),
            *_format_list(row["lists"].get("categories"), 2),
            f"{row['share_of_catalogue']:.1%}",
        ]
        yield f"| {' | '.join(cells)} |"


def _format_list(measured: dict[str, Any] | None, digits: int) -> tuple[str, str]:
    if measured is None:
        return "", ""
    return f"{measured['value']:.{digits}f}", _format_difference(measured["minus_plain"], digits)


def _format_difference(paired: dict[str, Any], digits: int) -> str:
    low, high = paired["interval"]
    return f"{paired['difference']:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
