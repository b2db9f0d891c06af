"""Product recommendation: the rank of the item that a shopper takes next."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.applications import client_calls as asking
from benchmarks.applications.tables import Table, bootstrap_mean
from docs.examples.applications import product_recommendation as example
from docs.examples.applications import shop
from portrait.client import Event
from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.encoders.retrieval import find_masked_items, find_ranks
from portrait.training.metrics import hit_rate, ndcg
from portrait.training.run import run as runs

K = 10


def measure(repository: Path, run: Path) -> Table:
    """Measure recommendations for every test shopper of a run, against popularity."""
    trained = runs.load_run(run)
    corpus, holdout = trained.corpus, trained.holdout
    events = [event for history in shop.read_histories(Path(trained.data["path"])).values() for event in history]
    wanted = corpus.event_item[holdout.test]

    def history(target: int) -> list[Event]:
        start, end = int(corpus.shopper_start[target]), int(corpus.context_end[target])
        return events[max(start, end - MAX_REMEMBERED_EVENTS) : end]

    with asking.open_client(repository) as portrait:
        rankings = asking.call_all(
            lambda target: example.recommend_products(
                portrait, history(target), events[target].time, new_only=holdout.mask_seen, k=K
            ),
            holdout.test.tolist(),
        )
    ours = asking.rank_wanted(rankings, [corpus.items[item].item_id for item in wanted.tolist()])
    others = find_ranks(rank_by_popularity(corpus, holdout), wanted)
    who = corpus.event_shopper[holdout.test]
    report = trained.data["report"]
    return Table(
        f"Product recommendation: {report['source']}",
        f"The first item that each of {len(wanted):,} shoppers takes in the test (split {holdout.split}), among all "
        f"{len(corpus.items):,}; {'items that they know are left out' if holdout.mask_seen else 'known items ranked'}. "
        "Popularity is counted on training events. Intervals are over shoppers.",
        ["HR@10", "NDCG@10"],
        {
            "Portrait": [bootstrap_mean(hit_rate(ours, K), who, ".4f"), bootstrap_mean(ndcg(ours, K), who, ".4f")],
            "popularity": [
                bootstrap_mean(hit_rate(others, K), who, ".4f"),
                bootstrap_mean(ndcg(others, K), who, ".4f"),
            ],
            "Portrait minus popularity": [
                bootstrap_mean(of(ours, K) - of(others, K), who, "+.4f") for of in (hit_rate, ndcg)
            ],
        },
    )


def rank_by_popularity(corpus: Corpus, holdout: Holdout) -> NDArray[np.int64]:
    """Return `[targets, K]` items: the most popular ones, without known ones if these are masked; -1 for none."""
    order = np.argsort(-holdout.item_counts, kind="stable")
    found = np.full((len(holdout.test), K), NO_ITEM)
    for row, target in enumerate(holdout.test.tolist()):
        masked = find_masked_items(corpus, target) if holdout.mask_seen else np.empty(0, dtype=np.int64)
        first = order[: K + len(masked)]
        found[row] = first[~np.isin(first, masked)][:K]
    return found
