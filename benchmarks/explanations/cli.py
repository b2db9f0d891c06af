"""Faithfulness of explanations: `python -m benchmarks explanations SOURCE --shop SOURCE`.

Each source is prepared, and two runs with different seeds are trained on it. Releases are made beside them, and explain
themselves in the embedded Triton. Results go to `benchmarks/results/`.
"""

import asyncio
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, existing_folder, make_parser
from benchmarks.explanations import deletion, releases, sanity, tables
from benchmarks.explanations.cases import Case, draw_cases, gather_limited, recommend_items
from benchmarks.explanations.deletion import DeletionEffect
from portrait.features.events import Item
from portrait.server.engine import Engine
from portrait.server.explanation.counterfactuals import RankingExplanation
from portrait.server.triton import EmbeddedTriton
from portrait.training.metrics import bootstrap_interval
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun

NAME = "explanations"
_CACHE_BYTES = 1 << 28


@dataclass(frozen=True)
class Figures:
    """Measurements of one shopper."""

    item: Item
    """Item that the release recommends first."""
    why: RankingExplanation
    recommendation: DeletionEffect
    words: DeletionEffect | None
    interest: DeletionEffect | None
    traits: dict[str, DeletionEffect | None]


async def measure(trained: TrainedRun, data: Path, repository: Path, shoppers: int, compared: int) -> dict[str, Any]:
    """Measure deletion and sanity on one data set.

    Args:
        trained: the run.
        data: its prepared data set.
        repository: holds the releases.
        shoppers: for how many things are deleted.
        compared: for how many of them the releases are compared.
    """
    cases = draw_cases(trained, data, shoppers)
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedTriton(repository, Path(folder) / "triton.log") as triton:
            engines = {}
            for number in (releases.TRAINED, releases.OTHER_SEED, *releases.RANDOMISED.values()):
                await triton.load(number)
                engines[number] = await Engine.open(repository, number, [triton.url], _CACHE_BYTES)
            engine = engines.pop(releases.TRAINED)
            deleted = await gather_limited(
                list(enumerate(cases)), lambda numbered: _measure_deletion(engine, *numbered)
            )
            explained = list(zip(cases, deleted, strict=True))[:compared]
            agreed = await gather_limited(explained, lambda pair: _measure_agreements(engines, *pair))
            for opened in (engine, *engines.values()):
                await opened.close()
    names = {releases.OTHER_SEED: "another seed"} | {
        number: f"shuffled: {depth.words}" for depth, number in releases.RANDOMISED.items()
    }
    traits = [trait.name for trait in engine.release.traits if not trait.absent]
    return {
        "data": trained.data["report"]["source"],
        "events": {"least": min(len(case.history) for case in cases), "mean": _compute_mean_length(cases)},
        "deletion": {
            "recommendation": _summarise_losses([one.recommendation for one in deleted]),
            "words": _summarise_losses([one.words for one in deleted]),
            "interest": _summarise_losses([one.interest for one in deleted]),
            **{f"trait {name}": _summarise_losses([one.traits[name] for one in deleted]) for name in traits},
        },
        "joint": _correlate_joint([one.recommendation for one in deleted]),
        "sanity": {names[number]: _summarise_agreements([one[number] for one in agreed]) for number in names},
    }


async def _measure_deletion(engine: Engine, number: int, case: Case) -> Figures:
    random = np.random.default_rng(number)
    item = (await recommend_items(engine, case, case.history))[0]
    why = await sanity.explain_item(engine, case, item)
    traits = [trait.name for trait in engine.release.traits if not trait.absent]
    return Figures(
        item=item,
        why=why,
        recommendation=await deletion.measure_recommendation(engine, case, item, why.events, random),
        words=await deletion.measure_words(engine, case, item, why.words, random),
        interest=await deletion.measure_interest(engine, case, random),
        traits={name: await deletion.measure_trait(engine, case, name, random) for name in traits},
    )


async def _measure_agreements(others: dict[int, Engine], case: Case, measured: Figures) -> dict[int, sanity.Agreement]:
    return {
        number: sanity.measure_agreement(measured.why, await sanity.explain_item(other, case, measured.item))
        for number, other in others.items()
    }


def _summarise_losses(found: Sequence[DeletionEffect | None]) -> dict[str, Any]:
    """Compute the mean loss over shoppers by method, and how much larger it is when the cited events are removed."""
    known = [one for one in found if one is not None]
    content: dict[str, Any] = {"shoppers": len(known), "by_size": {}, "left_ten": {}}
    for size in deletion.SIZES:
        content["by_size"][str(size)] = _summarise_ways([one.by_size[size] for one in known])
        left = [one.left_ten[size] for one in known if one.left_ten]
        if left:
            content["left_ten"][str(size)] = _summarise_ways(left)
    return content


def _summarise_ways(drops: Sequence[deletion.Loss]) -> dict[str, Any]:
    found = {}
    for way in dict.fromkeys(way for drop in drops for way in drop):
        values = np.array([drop[way] for drop in drops if way in drop])
        more = np.array([drop["cited"] - drop[way] for drop in drops if way in drop])
        found[way] = _summarise(values)
        if way != "cited":
            found[way]["cited_more"] = _summarise(more) | {"share_of_shoppers": float((more > 0.0).mean())}
    return found


def _correlate_joint(found: Sequence[DeletionEffect]) -> dict[str, float]:
    """Correlate the sum of single effects with the loss when several events are removed, over all random removals."""
    sums, lost = np.array([pair for one in found for pair in one.joint]).T
    return {"removals": len(sums), "spearman": float(spearmanr(sums, lost).statistic)}


def _summarise_agreements(found: Sequence[sanity.Agreement]) -> dict[str, Any]:
    columns: dict[str, list[float]] = {}
    for one in found:
        for name, value in dataclasses.asdict(one).items():
            if value is not None:
                columns.setdefault(name, []).append(value)
    return {"shoppers": len(found)} | {name: _summarise(np.array(values)) for name, values in columns.items()}


def _summarise(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    return {"value": float(values.mean()), "interval": bootstrap_interval(values)}


def _compute_mean_length(cases: Sequence[Case]) -> float:
    return float(np.mean([len(case.history) for case in cases]))


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("explanations", __doc__)
    add_source(parser)
    parser.add_argument(
        "--shop", type=existing_folder, help="the source open-ecommerce, with traits; left out if not given"
    )
    parser.add_argument("--shoppers", type=int, default=100, help="number of shoppers of the deletion test")
    parser.add_argument("--compared", type=int, default=50, help="number of them whose releases are compared")
    options = parser.parse_args(arguments)
    where = results.describe_circumstances("python -m benchmarks explanations SOURCE --shop SOURCE")
    work = options.work or steps.WORK / "explanations"
    folders = [_prepare(options.source, work / "first")]
    if options.shop:
        folders.append(_prepare(options.shop, work / "shop", "--split", "time"))
        steps.learn_traits(folders[-1][1], steps.SHOP_TRAITS, steps.SHOP_COMPLETE_UNTIL)
    found = []
    for data, run in folders:
        trained, repository = runs.load_run(run), run.parent / "repository"
        releases.export_releases(trained, run.parent / "seed-1", repository)
        found.append(asyncio.run(measure(trained, data, repository, options.shoppers, options.compared)))
    content = json.loads(json.dumps({"circumstances": where, "data_sets": found}))
    results.write_results(NAME, content, tables.format_report(content))
    tables.plot_report(content, results.RESULTS / f"{NAME}.svg")
    print(tables.format_report(content))
    return 0


def _prepare(source: Path, folder: Path, *options: str) -> tuple[Path, Path]:
    """Prepare a source and train two runs on it, with different seeds; return the data set and the first run."""
    data = steps.prepare_source(source, folder / "data")
    run = steps.train_run(data, folder / "run", "--seed", "0", *options)
    steps.train_run(data, folder / "seed-1", "--seed", "1", *options)
    return data, run
