"""Relevance of plain product queries through Triton: `python -m benchmarks query-relevance DATA REPOSITORY`.

DATA is The Complete Journey as `portrait prepare` wrote it, and REPOSITORY holds a release of it. Each of 50 queries is
asked for an unknown shopper and for some known ones, each with the whole history. The share of the first six results
that answer the query is printed, and the queries where some do not. Returns 0 if both shares reach the target.
"""

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.data_sets import read_events
from benchmarks.query_relevance.queries import QUERIES, is_relevant
from portrait.features.events import Event
from portrait.features.release import layout as release_layout
from portrait.server.engine import Engine
from portrait.server.recommendation.ranking import RecommendRequest, recommend
from portrait.server.triton import EmbeddedTriton
from portrait.training.dataset import corpus as corpora

SHOWN, TARGET = 6, 0.95
KNOWN_SHOPPERS = 40
IN_FLIGHT = 32


def draw_histories(data: Path, count: int) -> list[list[Event]]:
    """Draw the whole histories of some shoppers."""
    corpus, events = corpora.load_corpus(data), read_events(data)
    shoppers = np.random.default_rng(0).choice(len(corpus.shopper_ids), count, replace=False)
    return [events[corpus.starts[shopper] : corpus.starts[shopper + 1]] for shopper in shoppers.tolist()]


async def measure(repository: Path, histories: list[list[Event]]) -> NDArray[np.float64]:
    """`[histories, queries]`: share of relevant items among the first ones that the newest release recommends."""
    release = release_layout.list_releases(repository)[-1]
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def ask(engine: Engine, history: list[Event], query: str) -> float:
        as_of = history[-1].time if history else datetime.now(UTC)
        request = RecommendRequest(history, as_of or datetime.now(UTC), query=query, k=SHOWN)
        async with gate:
            ranking = await recommend(engine, request, deadline=None)
        return sum(is_relevant(query, each.item) for each in ranking.items) / SHOWN

    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedTriton(repository, Path(folder) / "triton.log") as triton:
            await triton.load(release)
            engine = await Engine.open(repository, release, [triton.url], text_cache_bytes=2**28)
            shares = await asyncio.gather(*(ask(engine, each, query) for each in histories for query in QUERIES))
            await engine.close()
    return np.array(shares).reshape(len(histories), len(QUERIES))


def main(arguments: list[str]) -> int:
    """Measure; return 0 if both shares reach the target, else 1."""
    parser = make_parser("query-relevance", __doc__)
    parser.add_argument("data", type=existing_folder, help="prepared data set that the release was trained on")
    parser.add_argument("repository", type=existing_folder, help="model repository with the release")
    parser.add_argument("--shoppers", type=int, default=KNOWN_SHOPPERS, help="known shoppers (%(default)s)")
    chosen = parser.parse_args(arguments)
    shares = asyncio.run(measure(chosen.repository, [[], *draw_histories(chosen.data, chosen.shoppers)]))
    unknown, known = shares[0], shares[1:].mean(0)
    for query, *of_query in zip(QUERIES, unknown.tolist(), known.tolist(), strict=True):
        if min(of_query) < 1.0:
            print(f"{query:20} unknown shopper {of_query[0]:6.1%}, known shoppers {of_query[1]:6.1%}")
    print(f"{'all queries':20} unknown shopper {unknown.mean():6.1%}, known shoppers {known.mean():6.1%}")
    return 0 if min(unknown.mean(), known.mean()) >= TARGET else 1
