"""Personalised search against the same encoder without the shopper: `python -m benchmarks.search DATA RUN`.

DATA is a prepared data set of searches and clicks, RUN a run that was trained on it with `--split time`. Every click of
the test period that a search came right before is a target; the whole catalogue is ranked for it.
"""

import argparse
import dataclasses
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.results import circumstances, origin, write
from portrait.features.histories import EventColumns
from portrait.training import run as runs
from portrait.training.choices import Split
from portrait.training.corpus import NO_ITEM, Corpus
from portrait.training.errors import TrainingError
from portrait.training.evaluation import rank
from portrait.training.metrics import MISSED, hit_rate, interval, reciprocal_rank
from portrait.training.retrieval import ranks_of, top
from portrait.training.run import TrainedRun

PERSONALISED, UNPERSONALISED = "Portrait, personalised", "Portrait, without the shopper"
_DEPTH = 100
# With one relevant item the average precision at 5 is the reciprocal rank within the first 5.
MEASURES = {
    "MAP@5": lambda ranks: reciprocal_rank(ranks, 5),
    "HR@5": lambda ranks: hit_rate(ranks, 5),
    "MRR": lambda ranks: reciprocal_rank(ranks, _DEPTH),
}


def searched(trained: TrainedRun) -> NDArray[np.int64]:
    """Clicks of the test period that a search of the same shopper came right before, ascending."""
    corpus, first = trained.corpus, trained.corpus.columns.time[trained.holdout.test].min()
    clicks = np.flatnonzero((corpus.columns.time >= first) & (corpus.event_item != NO_ITEM))
    last = corpus.context_end[clicks] - 1
    follows = last >= corpus.shopper_start[clicks]
    clicks, last = clicks[follows], last[follows]
    return clicks[(corpus.event_item[last] == NO_ITEM) & (corpus.columns.time[last] >= first)]


def without_shoppers(corpus: Corpus, targets: NDArray[np.int64]) -> Corpus:
    """The same targets, each of a shopper of its own who did nothing but the search."""
    events = np.stack([corpus.context_end[targets] - 1, targets], 1).ravel()
    columns = {field.name: getattr(corpus.columns, field.name)[events] for field in dataclasses.fields(EventColumns)}
    return dataclasses.replace(
        corpus,
        shopper_ids=[str(row) for row in range(len(targets))],
        starts=2 * np.arange(len(targets) + 1),
        columns=EventColumns(**columns),
        event_item=corpus.event_item[events],
        event_text=corpus.event_text[events],
        event_search=np.full(len(events), -1),
    )


def bm25(corpus: Corpus, queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[targets, _DEPTH]` items by BM25 over their texts."""
    index = bm25s.BM25()
    index.index(
        bm25s.tokenize([corpus.texts[row] for row in corpus.item_text], show_progress=False), show_progress=False
    )
    asked = bm25s.tokenize([corpus.texts[row] for row in queries], show_progress=False)
    return np.asarray(index.retrieve(asked, k=min(_DEPTH, len(corpus.items)), show_progress=False)[0], dtype=np.int64)


def query_popularity(trained: TrainedRun, queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[targets, _DEPTH]` items by the clicks that came right after the same query, then by all clicks."""
    corpus, holdout = trained.corpus, trained.holdout
    clicks = np.flatnonzero(holdout.train & (corpus.event_item != NO_ITEM))
    last = corpus.context_end[clicks] - 1
    clicks = clicks[(last >= corpus.shopper_start[clicks]) & (corpus.event_item[last] == NO_ITEM)]
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for query, item in zip(corpus.event_text[corpus.context_end[clicks] - 1], corpus.event_item[clicks], strict=True):
        counts[int(query)][int(item)] += 1
    popular = holdout.item_counts / (holdout.item_counts.max() + 1.0)
    scores = np.tile(popular.astype(np.float32), (len(queries), 1))
    for row, query in enumerate(queries.tolist()):
        for item, count in counts[query].items():
            scores[row, item] += count
    return top(scores, _DEPTH)


def measure(trained: TrainedRun) -> dict[str, Any]:
    """Every way of ranking, for all targets and by whether the shopper did something before the search."""
    # Who searches for an item that is known already wants to see it.
    trained = dataclasses.replace(trained, holdout=dataclasses.replace(trained.holdout, mask_seen=False))
    targets = searched(trained)
    if not len(targets):
        raise TrainingError("the test period holds no click right after a search")
    corpus = trained.corpus
    wanted, last = corpus.event_item[targets], corpus.context_end[targets] - 1
    queries = corpus.event_text[last]
    alone = without_shoppers(corpus, targets)
    popular = np.tile(np.argsort(-trained.holdout.item_counts, kind="stable")[:_DEPTH], (len(targets), 1))
    ranks = {
        PERSONALISED: ranks_of(rank(trained, corpus, targets).items, wanted),
        UNPERSONALISED: ranks_of(rank(trained, alone, 2 * np.arange(len(targets)) + 1).items, wanted),
        "BM25": ranks_of(bm25(corpus, queries), wanted),
        "popularity of the exact query": ranks_of(query_popularity(trained, queries), wanted),
        "popularity": ranks_of(popular, wanted),
    }
    history = last > corpus.shopper_start[targets]
    slices = {"all": np.ones(len(targets), dtype=bool), "with history": history, "without history": ~history}
    return {name: _slice({way: found[chosen] for way, found in ranks.items()}) for name, chosen in slices.items()}


def _slice(ranks: dict[str, NDArray[np.int64]]) -> dict[str, Any]:
    count = len(ranks[PERSONALISED])
    if not count:
        return {"targets": 0}
    differences = {
        name: _figure(measured(ranks[PERSONALISED]) - measured(ranks[UNPERSONALISED]))
        for name, measured in MEASURES.items()
    }
    ways = {
        way: {name: _figure(measured(found)) for name, measured in MEASURES.items()} for way, found in ranks.items()
    }
    missed = {way: float((found == MISSED).mean()) for way, found in ranks.items()}
    return {"targets": count, "ways": ways, "beyond_100": missed, "personalised_minus_unpersonalised": differences}


def _figure(values: NDArray[np.float64]) -> dict[str, Any]:
    return {"value": float(values.mean()), "interval": interval(values)}


def table(content: dict[str, Any]) -> str:
    """The slices as Markdown."""
    lines = [
        f"# Search: {content['data']}",
        "",
        f"{origin(content['circumstances'])} Split by time: every "
        "click of the last tenth of the log that a search came right before; all "
        f"{content['items']:,} items ranked, known ones among them. Portrait and query popularity learnt from what "
        f"precedes the {'test' if content['refit'] else 'validation period'} (`--preset {content['preset']}`). "
        "95% bootstrap intervals.",
    ]
    for name, part in content["slices"].items():
        lines += ["", f"## {name.capitalize()}: {part['targets']:,} clicks", ""]
        if not part["targets"]:
            continue
        lines += ["| | MAP@5 | 95% interval | HR@5 | MRR |", "|---|---|---|---|---|"]
        lines += [_row(way, row, "") for way, row in part["ways"].items()]
        lines.append(_row("personalised minus without", part["personalised_minus_unpersonalised"], "+"))
    return "\n".join(lines) + "\n"


def _row(name: str, row: dict[str, Any], sign: str) -> str:
    low, high = row["MAP@5"]["interval"]
    return (
        f"| {name} | {row['MAP@5']['value']:{sign}.4f} | {low:{sign}.4f} to {high:{sign}.4f} "
        f"| {row['HR@5']['value']:{sign}.4f} | {row['MRR']['value']:{sign}.4f} |"
    )


def main(arguments: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.search", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    chosen = parser.parse_args(arguments)
    where = circumstances("python -m benchmarks.search")
    try:
        trained = runs.load(chosen.run)
        if trained.settings.split is not Split.TIME:
            raise TrainingError(f"{chosen.run} was not trained with --split time")
        slices = measure(trained)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    source = json.loads((chosen.data / "report.json").read_text())["source"]
    items = len(trained.corpus.items)
    content = {
        "data": source,
        "circumstances": where,
        "items": items,
        "preset": trained.settings.preset.value,
        "refit": trained.settings.refit,
        "slices": slices,
    }
    write(f"search-{source}", content, table(content))
    print(table(content))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
