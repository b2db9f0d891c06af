"""What explanations are worth: `python -m benchmarks.explanations FOLDER [FOLDER]`.

Each FOLDER holds `data`, a prepared data set; `run`, trained on it; `seed-1`, trained alike with another seed. Releases
are made beside them, in `repository`, and explain themselves in the embedded Triton. Results go to
`benchmarks/results/`.
"""

import argparse
import asyncio
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.common import results
from benchmarks.explanations import deletion, releases, sanity, tables
from benchmarks.explanations.cases import Case, by_lot, each, recommended
from benchmarks.explanations.deletion import Dropped
from portrait.features.events import Item
from portrait.server.engine import Engine
from portrait.server.explanation.counterfactuals import RankingExplanation
from portrait.server.triton import EmbeddedTriton
from portrait.training.errors import TrainingError
from portrait.training.metrics import interval
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun

NAME = "explanations"
_CACHE_BYTES = 1 << 28


@dataclass(frozen=True)
class Measured:
    """One shopper."""

    item: Item
    """What the release recommends first."""
    why: RankingExplanation
    recommendation: Dropped
    words: Dropped | None
    interest: Dropped | None
    traits: dict[str, Dropped | None]


async def measure(trained: TrainedRun, data: Path, repository: Path, shoppers: int, compared: int) -> dict[str, Any]:
    """Deletion and sanity on one data set.

    Args:
        trained: the run.
        data: its prepared data set.
        repository: holds the releases.
        shoppers: for how many things are deleted.
        compared: for how many of them the releases are compared.
    """
    cases = by_lot(trained, data, shoppers)
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedTriton(repository, Path(folder) / "triton.log") as triton:
            engines = {}
            for number in (releases.TRAINED, releases.OTHER_SEED, *releases.SHUFFLED.values()):
                await triton.load(number)
                engines[number] = await Engine.open(repository, number, triton.url, _CACHE_BYTES)
            engine = engines.pop(releases.TRAINED)
            deleted = await each(list(enumerate(cases)), lambda numbered: _deleted(engine, *numbered))
            explained = list(zip(cases, deleted, strict=True))[:compared]
            agreed = await each(explained, lambda pair: _agreed(engines, *pair))
            for opened in (engine, *engines.values()):
                await opened.close()
    names = {releases.OTHER_SEED: "another seed"} | {
        number: f"shuffled: {depth.words}" for depth, number in releases.SHUFFLED.items()
    }
    traits = [trait.name for trait in engine.release.traits if not trait.absent]
    return {
        "data": trained.data["report"]["source"],
        "events": {"least": min(len(case.history) for case in cases), "mean": _mean_length(cases)},
        "deletion": {
            "recommendation": _lost([one.recommendation for one in deleted]),
            "words": _lost([one.words for one in deleted]),
            "interest": _lost([one.interest for one in deleted]),
            **{f"trait {name}": _lost([one.traits[name] for one in deleted]) for name in traits},
        },
        "joint": _joint([one.recommendation for one in deleted]),
        "sanity": {names[number]: _alike([one[number] for one in agreed]) for number in names},
    }


async def _deleted(engine: Engine, number: int, case: Case) -> Measured:
    random = np.random.default_rng(number)
    item = (await recommended(engine, case, case.history))[0]
    why = await sanity.explained(engine, case, item)
    traits = [trait.name for trait in engine.release.traits if not trait.absent]
    return Measured(
        item=item,
        why=why,
        recommendation=await deletion.of_recommendation(engine, case, item, why.events, random),
        words=await deletion.of_words(engine, case, item, why.words, random),
        interest=await deletion.of_interest(engine, case, random),
        traits={name: await deletion.of_trait(engine, case, name, random) for name in traits},
    )


async def _agreed(others: dict[int, Engine], case: Case, measured: Measured) -> dict[int, sanity.Agreement]:
    return {
        number: sanity.agreement(measured.why, await sanity.explained(other, case, measured.item))
        for number, other in others.items()
    }


def _lost(found: Sequence[Dropped | None]) -> dict[str, Any]:
    """Means over shoppers of what is lost in each way, and by how much more it is if what is cited goes."""
    known = [one for one in found if one is not None]
    content: dict[str, Any] = {"shoppers": len(known), "by_size": {}, "left_ten": {}}
    for size in deletion.SIZES:
        content["by_size"][str(size)] = _ways([one.by_size[size] for one in known])
        left = [one.left_ten[size] for one in known if one.left_ten]
        if left:
            content["left_ten"][str(size)] = _ways(left)
    return content


def _ways(drops: Sequence[deletion.Drop]) -> dict[str, Any]:
    found = {}
    for way in dict.fromkeys(way for drop in drops for way in drop):
        values = np.array([drop[way] for drop in drops if way in drop])
        more = np.array([drop["cited"] - drop[way] for drop in drops if way in drop])
        found[way] = _figure(values)
        if way != "cited":
            found[way]["cited_more"] = _figure(more) | {"share_of_shoppers": float((more > 0.0).mean())}
    return found


def _joint(found: Sequence[Dropped]) -> dict[str, float]:
    """Whether the sum of single effects tells what is lost when several events go, over all random removals."""
    sums, lost = np.array([pair for one in found for pair in one.joint]).T
    return {"removals": len(sums), "spearman": float(spearmanr(sums, lost).statistic)}


def _alike(found: Sequence[sanity.Agreement]) -> dict[str, Any]:
    columns: dict[str, list[float]] = {}
    for one in found:
        for name, value in dataclasses.asdict(one).items():
            if value is not None:
                columns.setdefault(name, []).append(value)
    return {"shoppers": len(found)} | {name: _figure(np.array(values)) for name, values in columns.items()}


def _figure(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    return {"value": float(values.mean()), "interval": interval(values)}


def _mean_length(cases: Sequence[Case]) -> float:
    return float(np.mean([len(case.history) for case in cases]))


def main(arguments: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.explanations", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--shoppers", type=int, default=100, help="for so many things are deleted")
    parser.add_argument("--compared", type=int, default=50, help="for so many of them releases are compared")
    chosen = parser.parse_args(arguments)
    where = results.circumstances("python -m benchmarks.explanations")
    found = []
    try:
        for folder in chosen.folders:
            trained = runs.load(folder / "run")
            releases.build(trained, folder / "seed-1", folder / "repository")
            arguments_ = (trained, folder / "data", folder / "repository", chosen.shoppers, chosen.compared)
            found.append(asyncio.run(measure(*arguments_)))
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    content = json.loads(json.dumps({"circumstances": where, "data_sets": found}))
    results.write(NAME, content, tables.text(content))
    tables.plot(content, results.RESULTS / f"{NAME}.svg")
    print(tables.text(content))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
