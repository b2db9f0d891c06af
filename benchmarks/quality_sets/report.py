"""The table of all data sets: one row for each data set and split."""

from typing import Any

from benchmarks.common.results import format_origin
from benchmarks.quality_sets.shortcuts import LAST_ITEMS
from portrait.training.baselines.comparison import DIFFERENCE, find_strongest, format_difference
from portrait.training.baselines.registry import BASELINES

_METRIC = "NDCG@10"
_NAMES = [baseline.name for baseline in BASELINES]


def format_report(results: dict[str, Any]) -> str:
    """Format the table, the shortcuts of the test targets, and the settings that validation chose."""
    rows = results["sets"]
    measured = [row for row in rows if "failed" not in row]
    head = [
        "data",
        "split",
        "shoppers",
        "seen items",
        "Portrait",
        *_NAMES,
        "Portrait minus the best baseline",
        "by seed",
    ]
    lines = [
        "# Ranking quality on all data sets",
        "",
        f"{format_origin(results['circumstances'])} `portrait prepare`, `train` and `evaluate` by default settings; "
        f"{_METRIC} on the test, the whole catalogue ranked. Each baseline was tuned on validation. The difference is "
        "over the same shoppers, with its paired 95% bootstrap interval, to the baseline that is best on the test.",
        "",
        *_format_table(head, [_format_row(row) for row in measured]),
        "",
        "## Shortcuts",
        "",
        f"Share of the test targets whose item is one of the last {LAST_ITEMS} of the context, and of those whose item "
        "stands anywhere in it.",
        "",
        *_format_table(
            ["data", "split", f"last {LAST_ITEMS} items", "own history"], [_format_shares(row) for row in measured]
        ),
    ]
    if worth := [line for row in measured for line in _format_worth(row)]:
        head = ["data", "split", "shoppers", "number", "NDCG@10 lost without the BERT"]
        lines += ["", "## What the BERT is worth", "", *_format_table(head, worth)]
    if failed := [row for row in rows if "failed" in row]:
        lines += ["", "## Not measured", "", *(f"- {_name_row(row)}: {row['failed']}" for row in failed)]
    return "\n".join(lines) + "\n"


def _format_table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _format_row(row: dict[str, Any]) -> list[str]:
    ranking = row["ranking"]
    best = find_strongest(ranking, _METRIC)
    values = {name: f"{each[_METRIC]['value']:.4f}" for name, each in ranking.items()}
    values[best] = f"**{values[best]}**"
    return [
        row["data"],
        row["split"],
        f"{row['shoppers']:,}",
        row["seen_items"],
        values["portrait"],
        *(values.get(name, "") for name in _NAMES),
        format_difference(ranking[best][_METRIC][DIFFERENCE]),
        " ".join(f"{value:.4f}" for value in row["ndcg_by_seed"]),
    ]


def _format_shares(row: dict[str, Any]) -> list[str]:
    shares = row["shortcuts"]
    return [row["data"], row["split"], f"{shares['among_last_items']:.1%}", f"{shares['in_own_history']:.1%}"]


def _format_worth(row: dict[str, Any]) -> list[list[str]]:
    return [
        [row["data"], row["split"], group, f"{paired['shoppers']:,}", format_difference(paired["NDCG@10"])]
        for group, paired in row.get("worth_of_bert", {}).items()
    ]


def _name_row(row: dict[str, Any]) -> str:
    return f"{row['data']}, {row['split']}" if "split" in row else str(row["data"])
