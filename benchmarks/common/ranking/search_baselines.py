"""Baselines of personalised search beside the same encoder without the shopper: words and counts."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from benchmarks.common.ranking.search import MAX_RANK
from portrait.training.dataset.corpus import Corpus
from portrait.training.encoders.retrieval import select_top

_NON_WORD = re.compile(r"[\W_]+")


def rank_by_bm25(corpus: Corpus, queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank items to `[queries, MAX_RANK]` by BM25 over their texts.

    Args:
        corpus: items and texts.
        queries: rows of texts.
    """
    index = bm25s.BM25()
    index.index(
        bm25s.tokenize([corpus.texts[row] for row in corpus.item_text], show_progress=False), show_progress=False
    )
    words = bm25s.tokenize([corpus.texts[row] for row in queries], show_progress=False)
    return np.asarray(index.retrieve(words, k=min(MAX_RANK, len(corpus.items)), show_progress=False)[0], dtype=np.int64)


def number_queries(queries: Sequence[str]) -> NDArray[np.int64]:
    """Number the queries, `[queries]`; queries of the same words, letters and digits share a number."""
    codes: dict[str, int] = {}
    words = (_NON_WORD.sub(" ", query.lower()).strip() for query in queries)
    return np.array([codes.setdefault(each, len(codes)) for each in words], dtype=np.int64)


def rank_by_query_popularity(
    learnt: tuple[NDArray[np.int64], NDArray[np.int64]], queries: NDArray[np.int64], popularity: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Rank items to `[queries, MAX_RANK]` by their clicks after exactly the same query, then by popularity.

    Args:
        learnt: query, as `number_queries` numbers it, and item of each click to count.
        queries: what is asked for, numbered alike.
        popularity: `[items]`, how often each item occurs.
    """
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for query, item in zip(*learnt, strict=True):
        counts[int(query)][int(item)] += 1
    scores = np.tile((popularity / (popularity.max() + 1.0)).astype(np.float32), (len(queries), 1))
    for row, query in enumerate(queries.tolist()):
        for item, count in counts[query].items():
            scores[row, item] += count
    return select_top(scores, MAX_RANK)


def rank_by_popularity(popularity: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Rank items to `[count, MAX_RANK]` by popularity, the same for every query."""
    return np.tile(np.argsort(-popularity, kind="stable")[:MAX_RANK], (count, 1))
