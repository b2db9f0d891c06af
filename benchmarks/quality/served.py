"""Ranking quality of a release through Triton: `python -m benchmarks served-quality DATA REPOSITORY`.

Every test shopper of the newest release is asked for as a gateway asks: history in, ranking out, over the release's
graphs in the embedded Triton. What `portrait evaluate` measured of the run stands in the release's manifest; both are
printed, and the difference.
"""

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.data_sets import read_events
from portrait.features.release import layout as release_layout
from portrait.features.release.manifest import Manifest
from portrait.server.engine import Engine
from portrait.server.recommendation.ranking import RecommendRequest, recommend
from portrait.server.triton import EmbeddedTriton
from portrait.training.dataset import corpus as corpora
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split
from portrait.training.metrics import MISSED, hit_rate, ndcg

IN_FLIGHT = 32
MAX_DIFFERENCE = 1e-3
"""Largest difference of NDCG@10 and HR@10 between the release in Triton and its run."""


async def rank_served(data: Path, repository: Path, split: Split) -> NDArray[np.int64]:
    """Return the rank of each test target within the ten items that the engine recommends, `MISSED` beyond."""
    corpus = corpora.load_corpus(data)
    holdout = hold_out(corpus, split)
    events = read_events(data)
    found = np.full(len(holdout.test), MISSED)
    release = release_layout.list_releases(repository)[-1]
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def ask(engine: Engine, row: int) -> None:
        target = int(holdout.test[row])
        history = events[corpus.shopper_start[target] : corpus.context_end[target]]
        request = RecommendRequest(
            history, events[target].time or datetime.now(UTC), exclude_seen=holdout.mask_seen, k=10
        )
        async with gate:
            ranking = await recommend(engine, request, deadline=None)
        ids = [ranked.item.item_id for ranked in ranking.items]
        wanted = events[target].item_id
        if wanted in ids:
            found[row] = ids.index(wanted)

    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedTriton(repository, Path(folder) / "triton.log") as triton:
            await triton.load(release)
            engine = await Engine.open(repository, release, [triton.url], text_cache_bytes=2**28)
            await asyncio.gather(*(ask(engine, row) for row in range(len(found))))
            await engine.close()
    return found


def main(arguments: list[str]) -> int:
    """Compare; return 0 if the figures agree, else 1."""
    parser = make_parser("served-quality", __doc__)
    parser.add_argument("data", type=existing_folder, help="prepared data set that the release was trained on")
    parser.add_argument("repository", type=existing_folder, help="model repository with the release")
    chosen = parser.parse_args(arguments)
    manifest = Manifest.read(
        release_layout.release_folder(chosen.repository, release_layout.list_releases(chosen.repository)[-1])
    )
    split = Split(manifest.training["split"])
    measured = manifest.metrics[f"metrics-{split.value}"]["ranking"]["portrait"]
    found = asyncio.run(rank_served(chosen.data, chosen.repository, split))
    worst = 0.0
    for name, measure in (("NDCG@10", ndcg), ("HR@10", hit_rate)):
        served, offline = float(measure(found, 10).mean()), float(measured[name]["value"])
        worst = max(worst, abs(served - offline))
        print(f"{name}: release {manifest.release} through Triton {served:.5f}, run {offline:.5f}")
    return 0 if worst <= MAX_DIFFERENCE else 1
