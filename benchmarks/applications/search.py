"""Personalised search: the rank of the product that is clicked, with and without the history."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.applications import client_calls as asking
from benchmarks.applications.tables import Figure, Table, bootstrap_mean
from benchmarks.common.ranking.search import MAX_RANK, METRICS, find_test_clicks
from benchmarks.common.ranking.search_baselines import rank_by_bm25
from docs.examples.applications import personalised_search as example
from docs.examples.applications import shop
from portrait.client import Event
from portrait.training.encoders.retrieval import find_ranks
from portrait.training.run import run as runs


def measure(repository: Path, run: Path) -> Table:
    """Measure every test click right after a search of a shopper with a history."""
    trained = runs.load_run(run)
    corpus = trained.corpus
    asked = find_test_clicks(corpus, trained.holdout)
    known = asked.has_history
    searches, clicks, first = asked.searches[known], asked.clicks[known], asked.first[known]
    events = [event for history in shop.read_histories(Path(trained.data["path"])).values() for event in history]
    wanted = corpus.event_item[clicks]
    queries = [corpus.texts[corpus.event_text[search]] for search in searches]
    histories = [events[begin:end] for begin, end in zip(first, searches, strict=True)]
    moments = [events[search].time for search in searches]

    with asking.open_client(repository) as portrait:

        def ranks(shoppers: list[list[Event]]) -> NDArray[np.int64]:
            rankings = asking.call_all(
                lambda question: example.search_catalogue(portrait, *question, k=MAX_RANK),
                list(zip(shoppers, queries, moments, strict=True)),
            )
            return asking.rank_wanted(rankings, [corpus.items[item].item_id for item in wanted.tolist()])

        ours, nobody = ranks(histories), ranks([[] for _ in histories])
    others = find_ranks(rank_by_bm25(corpus, corpus.event_text[searches]), wanted)
    who = corpus.event_shopper[clicks]
    ways = {"Portrait, personalised": ours, "Portrait, without the shopper": nobody, "BM25": others}
    rows: dict[str, list[Figure | None]] = {
        way: [bootstrap_mean(of(found), who) for of in METRICS.values()] for way, found in ways.items()
    }
    rows["personalised minus without"] = [bootstrap_mean(of(ours) - of(nobody), who, "+.3f") for of in METRICS.values()]
    return Table(
        f"Personalised search: {trained.data['report']['source']}",
        f"{len(clicks):,} clicks of the latest tenth that a search came right before, of shoppers with a history, "
        f"among all {len(corpus.items):,} items. [search-bestbuy.md](search-bestbuy.md) has five such windows and the "
        "popularity of the exact query. Intervals are over shoppers.",
        list(METRICS),
        rows,
    )
