"""Explanations cite events that matter, and change with the model: the benchmark in small."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.explanations import deletion, sanity
from benchmarks.explanations.cases import Case, draw_cases, gather_limited, recommend_items
from benchmarks.explanations.deletion import DeletionEffect
from benchmarks.explanations.randomisation import Depth, randomise_run
from benchmarks.explanations.sanity import Agreement
from portrait.export.precision import Precision
from portrait.export.release import export_release
from portrait.server.engine import Engine
from portrait.server.triton import EmbeddedTriton
from portrait.training.metrics import bootstrap_interval
from portrait.training.run.run import TrainedRun

SHOPPERS = 24
TRAINED, SHUFFLED = 1, 2


@dataclass
class Found:
    """The measurements of one shopper."""

    lost: DeletionEffect
    """The scores that the first recommendation loses."""
    with_itself: Agreement
    with_shuffled: Agreement


@pytest.fixture(scope="module")
def found(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    repository = tmp_path_factory.mktemp("explanations")
    for run in (trained, randomise_run(trained, Depth.ALL)):
        export_release(run, {}, repository, Precision.FP32, lambda _: None)
    cases = draw_cases(trained, Path(trained.data["path"]), SHOPPERS)
    return asyncio.run(_explain(repository, cases))


async def _explain(repository: Path, cases: list[Case]) -> list[Found]:
    async with EmbeddedTriton(repository, repository / "triton.log") as triton:
        engines = {}
        for release in (TRAINED, SHUFFLED):
            await triton.load(release)
            engines[release] = await Engine.open(repository, release, [triton.url], 1 << 22)

        async def of(case: Case) -> Found:
            engine = engines[TRAINED]
            item = (await recommend_items(engine, case, case.history))[0]
            why = await sanity.explain_item(engine, case, item)
            again, other = [await sanity.explain_item(each, case, item) for each in engines.values()]
            lost = await deletion.measure_recommendation(engine, case, item, why.events, np.random.default_rng(0))
            return Found(lost, sanity.measure_agreement(why, again), sanity.measure_agreement(why, other))

        answers = await gather_limited(cases, of)
        for engine in engines.values():
            await engine.close()
    return answers


def _compare(found: list[Found], size: int, way: str) -> tuple[float, float]:
    """Interval of the mean by which a score falls further without what is cited than without what a way chooses."""
    drops = [one.lost.by_size[size] for one in found]
    return bootstrap_interval(np.array([drop["cited"] - drop[way] for drop in drops]))


@pytest.mark.parametrize(("size", "way"), [(1, "random"), (1, "latest"), (1, "nearest"), (3, "random"), (3, "latest")])
def test_without_what_is_cited_a_score_falls_further(found: list[Found], size: int, way: str) -> None:
    assert _compare(found, size, way)[0] > 0.0


def test_three_cited_events_count_no_less_than_the_three_most_similar(found: list[Found]) -> None:
    # The most similar events are those of the item itself. Each of them stands in for the others, so that their joint
    # effect is larger than the sum of their effects, by which events are cited.
    assert _compare(found, 3, "nearest")[1] > 0.0


def test_a_model_is_explained_as_before(found: list[Found]) -> None:
    assert min(one.with_itself.events for one in found) > 0.9
    assert np.mean([one.with_itself.cited for one in found]) > 0.95


def test_a_model_that_has_learnt_nothing_is_explained_otherwise(found: list[Found]) -> None:
    assert np.mean([one.with_shuffled.events for one in found]) < 0.6
    lost = np.array([one.with_itself.cited - one.with_shuffled.cited for one in found])
    assert bootstrap_interval(lost)[0] > 0.0
