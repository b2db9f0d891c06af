"""The price of diversity: `python -m benchmarks diversity RUN…`.

The ranking of each run is ordered anew as a gateway's rule `diversify` does it, by several amounts. The amount is
chosen on validation: the largest that costs at most 1% of NDCG@10. All are reported on the test, paired with the
ranking as it is. Results go to `benchmarks/results/diversity.{json,md}`.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import results
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.ranking.tables import compare_paired
from benchmarks.diversity.report import format_report
from portrait.server.recommendation.diversity import order_by_marginal_relevance
from portrait.training.metrics import bootstrap_interval, ndcg
from portrait.training.run import evaluation
from portrait.training.run.evaluation import SHOWN_POSITIONS, RankedTargets
from portrait.training.run.run import TrainedRun, load_run

NAME = "diversity"
AMOUNTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Nats that likeness to an item above costs; set before anything was measured by them."""
MAX_LOSS = 0.01
"""Share of NDCG@10 on validation that the chosen amount may cost."""


def main(arguments: list[str]) -> int:
    """Measure; return the exit code."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument("runs", nargs="+", type=existing_folder, metavar="RUN", help="folder of a run that has ended")
    options = parser.parse_args(arguments)
    content: dict[str, Any] = {"circumstances": results.describe_circumstances(f"python -m benchmarks {NAME} RUN…")}
    content["runs"] = [measure_run(load_run(folder)) for folder in options.runs]
    text = format_report(content)
    results.write_results(NAME, content, text)
    print(text)
    return 0


def measure_run(trained: TrainedRun) -> dict[str, Any]:
    """Measure all amounts on validation and test."""
    targets = {"validation": trained.holdout.validation, "test": trained.holdout.test}
    measured = {
        name: _measure_amounts(trained, evaluation.rank_targets(trained, trained.corpus, events))
        for name, events in targets.items()
    }
    bearable = [
        row["amount"] for row in measured["validation"] if row["minus_plain"]["NDCG@10"]["relative"] >= -MAX_LOSS
    ]
    return {
        "data": read_source(Path(trained.data["path"])),
        "split": trained.settings.split.value,
        "items": len(trained.corpus.items),
        "chosen": max(bearable),
        **measured,
    }


def _measure_amounts(trained: TrainedRun, plain: RankedTargets) -> list[dict[str, Any]]:
    ranks = evaluation.find_portrait_ranks(trained, plain)
    of_plain = _measure_lists(trained, plain)
    rows = []
    for amount in AMOUNTS:
        ranked = spread(trained, plain, amount)
        ours, lists = evaluation.find_portrait_ranks(trained, ranked), _measure_lists(trained, ranked)
        shown = ranked.items[:, :SHOWN_POSITIONS]
        rows.append(
            {
                "amount": amount,
                "shoppers": len(ours),
                "ndcg": float(ndcg(ours, SHOWN_POSITIONS).mean()),
                "minus_plain": compare_paired(ours, ranks),
                "lists": {
                    name: {"value": float(values.mean()), "minus_plain": _describe(values - of_plain[name])}
                    for name, values in lists.items()
                },
                "share_of_catalogue": len(np.unique(shown[shown >= 0])) / len(trained.corpus.items),
            }
        )
    return rows


def spread(trained: TrainedRun, plain: RankedTargets, amount: float) -> RankedTargets:
    """Order the ranked items of each target anew, as the gateway's rule does for ten items."""
    items = plain.items.copy()
    for row, scores in zip(items, plain.scores, strict=True):
        count = int(np.count_nonzero(row >= 0))
        vectors = trained.index.vectors[row[:count]]
        row[:count] = row[order_by_marginal_relevance(scores[:count], vectors, amount, SHOWN_POSITIONS)]
    return dataclasses.replace(plain, items=items)


def _measure_lists(trained: TrainedRun, ranked: RankedTargets) -> dict[str, NDArray[np.float64]]:
    """Measure the first ten items of each target: mean distance of pairs, and distinct categories if there are any.

    The distance of two items is one minus the cosine of their vectors.
    """
    paths = [item.category_path for item in trained.corpus.items]
    distances, categories = np.zeros(len(ranked.items)), np.zeros(len(ranked.items))
    for place, row in enumerate(ranked.items[:, :SHOWN_POSITIONS]):
        shown = row[row >= 0]
        vectors = trained.index.vectors[shown]
        pairs = np.triu_indices(len(shown), 1)
        distances[place] = (1.0 - (vectors @ vectors.T)[pairs]).mean() if len(shown) > 1 else 0.0
        categories[place] = len({paths[item] for item in shown.tolist()} - {()})
    return {"distance": distances, **({"categories": categories} if any(paths) else {})}


def _describe(differences: NDArray[np.float64]) -> dict[str, Any]:
    return {"difference": float(differences.mean()), "interval": bootstrap_interval(differences)}
