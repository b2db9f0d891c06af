"""Personalised search against the same encoder without the shopper: `python -m benchmarks search SOURCE`.

SOURCE holds searches and clicks. The log is cut into consecutive windows. For each window a model is trained on what
precedes it, and every click of the window right after a search is a target, for which the whole catalogue is ranked.
Runs of a call that was stopped are kept.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import steps
from benchmarks.common.cli import add_source, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.errors import BenchmarkError
from benchmarks.common.ranking.search import (
    METRICS,
    bootstrap_mean,
    find_search_clicks,
    find_test_clicks,
    remove_shoppers,
)
from benchmarks.common.ranking.search_baselines import (
    number_queries,
    rank_by_bm25,
    rank_by_popularity,
    rank_by_query_popularity,
)
from benchmarks.common.results import describe_circumstances, format_origin, write_results
from benchmarks.search import windows
from benchmarks.search.shipped_split import measure_shipped_split
from portrait.training.encoders.retrieval import find_ranks
from portrait.training.enums import Preset, Split
from portrait.training.metrics import MISSED
from portrait.training.run import folder as run_folder
from portrait.training.run import run as runs
from portrait.training.run.evaluation import rank_targets
from portrait.training.run.run import TrainedRun
from portrait.training.settings import TrainSettings

PERSONALISED, UNPERSONALISED = "Portrait, personalised", "Portrait, without the shopper"
WINDOWS = 5
SETTINGS = TrainSettings.from_preset(Preset.QUICK, split=Split.TIME, refit=True)


@dataclass(frozen=True)
class WindowRanks:
    """Ranks of the targets of some windows."""

    ranks: dict[str, NDArray[np.int64]]
    """By method: ranks, `[clicks]`."""
    shoppers: NDArray[np.str_]
    """`[clicks]`: id of the shopper."""
    has_history: NDArray[np.bool_]
    """`[clicks]`: whether the shopper did anything before the search."""

    def where(self, chosen: NDArray[np.bool_]) -> "WindowRanks":
        """Return some of the clicks."""
        ranks = {way: found[chosen] for way, found in self.ranks.items()}
        return WindowRanks(ranks, self.shoppers[chosen], self.has_history[chosen])


def concatenate_ranks(parts: list[WindowRanks]) -> WindowRanks:
    """Concatenate the ranks of several windows."""
    return WindowRanks(
        {way: np.concatenate([part.ranks[way] for part in parts]) for way in parts[0].ranks},
        np.concatenate([part.shoppers for part in parts]),
        np.concatenate([part.has_history for part in parts]),
    )


def train_window(data: Path) -> TrainedRun:
    """Return the run beside a window's data set; train it if it is missing."""
    run = data / "run"
    if not (run / runs.MODEL_FILE).exists():
        runs.train_run(data, run, SETTINGS, resume=(run / run_folder.SETTINGS_FILE).exists())
    trained = runs.load_run(run)
    if trained.settings != SETTINGS:
        raise BenchmarkError(f"{run} was trained with other settings; name another --work")
    return trained


def rank_window(trained: TrainedRun) -> WindowRanks:
    """Rank the catalogue for each target of a window, by every method."""
    corpus, holdout = trained.corpus, trained.holdout
    targets = find_test_clicks(corpus, holdout)
    if not len(targets.clicks):
        raise BenchmarkError(f"the last tenth of {trained.data['path']} holds no click right after a search")
    wanted = corpus.event_item[targets.clicks]
    learnt = find_search_clicks(corpus, holdout.train)
    queries = number_queries(corpus.texts)[corpus.event_text]
    known = (queries[learnt.searches], corpus.event_item[learnt.clicks])
    ranked = {
        PERSONALISED: rank_targets(trained, corpus, targets.clicks).items,
        UNPERSONALISED: rank_targets(trained, *remove_shoppers(corpus, targets)).items,
        "BM25": rank_by_bm25(corpus, corpus.event_text[targets.searches]),
        "popularity of the exact query": rank_by_query_popularity(
            known, queries[targets.searches], holdout.item_counts
        ),
        "popularity": rank_by_popularity(holdout.item_counts, len(wanted)),
    }
    return WindowRanks(
        {way: find_ranks(items, wanted) for way, items in ranked.items()},
        np.array(corpus.shopper_ids)[corpus.event_shopper[targets.clicks]],
        targets.has_history,
    )


def measure_slices(parts: list[WindowRanks]) -> dict[str, dict[str, Any]]:
    """Measure all clicks, those with a history and those without."""
    whole = concatenate_ranks(parts)
    return {
        "with history": _measure_slice(whole.where(whole.has_history)),
        "without history": _measure_slice(whole.where(~whole.has_history)),
        "all": _measure_slice(whole),
    }


def _measure_slice(part: WindowRanks) -> dict[str, Any]:
    if not len(part.shoppers):
        return {"clicks": 0}
    _, shoppers = np.unique(part.shoppers, return_inverse=True)
    return {
        "clicks": len(shoppers),
        "shoppers": int(shoppers.max()) + 1,
        "ways": {
            way: {name: bootstrap_mean(of(ranks), shoppers) for name, of in METRICS.items()}
            for way, ranks in part.ranks.items()
        },
        "beyond_100": {way: float((ranks == MISSED).mean()) for way, ranks in part.ranks.items()},
        "personalised_minus_unpersonalised": _measure_gain(part),
    }


def _measure_gain(part: WindowRanks) -> dict[str, Any]:
    """Measure the gain of personalisation: paired differences over the same clicks."""
    _, shoppers = np.unique(part.shoppers, return_inverse=True)
    ours, other = part.ranks[PERSONALISED], part.ranks[UNPERSONALISED]
    return {name: bootstrap_mean(of(ours) - of(other), shoppers) for name, of in METRICS.items()}


def format_report(content: dict[str, Any]) -> str:
    """Format the slices as Markdown."""
    lines = [
        f"# Search: {content['data']}",
        "",
        f"{format_origin(content['circumstances'])} "
        f"{len(content['windows'])} consecutive windows of the log, each ranked by "
        f"a model that was trained on what precedes it (`--preset {SETTINGS.preset}`, refit); every click that a "
        f"search came right before; all {content['items']:,} items ranked, known ones among them. 95% bootstrap "
        "intervals over shoppers; differences are paired.",
    ]
    for name, part in content["slices"].items():
        lines += ["", f"## {name.capitalize()}: {part['clicks']:,} clicks", ""]
        if not part["clicks"]:
            continue
        lines += ["| | MAP@5 | 95% interval | HR@5 | MRR |", "|---|---|---|---|---|"]
        lines += [_format_row(way, row, "") for way, row in part["ways"].items()]
        lines.append(_format_row("personalised minus without", part["personalised_minus_unpersonalised"], "+"))
    lines += ["", "## What the shopper's history adds, window by window", ""]
    lines += [
        "| window ends at | clicks with history | MAP@5 | 95% interval | HR@5 | MRR |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in content["windows"].items():
        lines.append(_format_row(f"{name} | {part['clicks']:,}", part["gain"], "+"))
    if shipped := content["shipped_split"]:
        lines += [
            "",
            "## A check of the evaluator",
            "",
            "Popularity of the exact query on the log as it is shipped, split by chance: "
            + ", ".join(f"{name} {value:.4f}" for name, value in shipped.items())
            + ". This split lets models learn from what comes later: no other figure is of it.",
        ]
    return "\n".join(lines) + "\n"


def _format_row(name: str, row: dict[str, Any], sign: str) -> str:
    low, high = row["MAP@5"]["interval"]
    return (
        f"| {name} | {row['MAP@5']['value']:{sign}.4f} | {low:{sign}.4f} to {high:{sign}.4f} "
        f"| {row['HR@5']['value']:{sign}.4f} | {row['MRR']['value']:{sign}.4f} |"
    )


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("search", __doc__)
    add_source(parser)
    options = parser.parse_args(arguments)
    work = options.work or steps.work_folder(options.source)
    where = describe_circumstances("python -m benchmarks search SOURCE")
    data = steps.prepare_source(options.source, work / "data")
    folders = windows.cut_windows(data, work / "windows", WINDOWS)
    parts = {folder.name: rank_window(train_window(folder)) for folder in folders}
    with_history = {name: part.where(part.has_history) for name, part in parts.items()}
    content = {
        "data": read_source(data),
        "circumstances": where,
        "items": json.loads((data / "report.json").read_text(encoding="utf-8"))["items"],
        "slices": measure_slices(list(parts.values())),
        "windows": {
            name: {"clicks": len(part.shoppers), "gain": _measure_gain(part)} for name, part in with_history.items()
        },
        "shipped_split": measure_shipped_split(data),
    }
    write_results(f"search-{content['data']}", content, format_report(content))
    print(format_report(content))
    return 0
