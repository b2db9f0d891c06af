"""A check of the evaluator: popularity of the exact query on Best Buy's log as it is shipped, split at random."""

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.common.ranking.search import METRICS
from benchmarks.common.ranking.search_baselines import number_queries, rank_by_query_popularity
from portrait.training.dataset import readers
from portrait.training.encoders.retrieval import find_ranks

TRAIN_FILE, TEST_FILE = "train.csv", "test.csv"


def measure_shipped_split(data: Path) -> dict[str, float] | None:
    """Measure the clicks of one shipped file with counts of the other; None if the log has no such files.

    Args:
        data: a prepared data set; its event ids begin with the file that each event came from.
    """
    events = readers.read_parquet(data / "events.parquet").filter(pl.col("item_id").is_not_null())
    file = events["event_id"].str.split(":").list.first().to_numpy()
    learnt, tested = file == TRAIN_FILE, file == TEST_FILE
    if not learnt.any() or not tested.any():
        return None
    items, queries = (
        number_queries(events["item_id"].to_list()),
        number_queries(events["query"].fill_null("").to_list()),
    )
    popularity = np.bincount(items[learnt], minlength=items.max() + 1).astype(np.float64)
    ranked = rank_by_query_popularity((queries[learnt], items[learnt]), queries[tested], popularity)
    ranks = find_ranks(ranked, items[tested])
    return {name: float(measure(ranks).mean()) for name, measure in METRICS.items()}
