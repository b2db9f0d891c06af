"""Interests smoothed by the category tree: `python -m benchmarks category-smoothing SOURCE [SOURCE ...]`.

Each source has times and category paths of two levels or more. It is split by time. Everything is learnt from what
precedes the test, on which each model is measured once, by number of events. Results go to `benchmarks/results/`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.category_smoothing.category_tree import CategoryTree
from benchmarks.category_smoothing.histories import GROUPS, Histories, collect_histories
from benchmarks.category_smoothing.models import FLAT, TREE, Model, Shop, compute_log_likelihood, fit_models
from benchmarks.category_smoothing.report import format_report
from benchmarks.common import results, steps
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.errors import BenchmarkError
from portrait.training.dataset.corpus import load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split
from portrait.training.metrics import bootstrap_interval
from portrait.training.population.interest_dynamics import category_shares, fit_interest_dynamics
from portrait.training.population.taxonomy import Taxonomy
from portrait.training.ranker.associations import fit_associations
from portrait.training.settings import TrainSettings

MIN_SHOPPERS = 100
"""Groups of fewer shoppers are left out."""
_CUTOFFS = (5, 10)
_LIKELIHOOD = "log-likelihood"


def measure(data: Path) -> dict[str, Any]:
    """Measure all models on a data set.

    Raises:
        BenchmarkError: the data set has no category tree.
        TrainingError: its events lack times.
    """
    corpus = load_corpus(data)
    taxonomy, holdout, settings = Taxonomy.of(corpus), hold_out(corpus, Split.TIME), TrainSettings(split=Split.TIME)
    if max(map(len, taxonomy.paths), default=0) < 2:
        raise BenchmarkError(f"{data} has no category path of two levels: there is no tree to smooth by")
    associations = fit_associations(corpus, holdout.learnt(corpus), settings)
    attention = fit_interest_dynamics(corpus, taxonomy, holdout.train, holdout.validation, associations, settings.seed)
    if attention is None or attention.by_time is None:
        raise BenchmarkError(f"{data} has no validation event with a category")
    shares = category_shares(corpus, taxonomy, holdout.train)
    shop = Shop(shares, CategoryTree.of(taxonomy, shares), attention, attention.by_time)

    everything = np.ones(len(corpus.event_item), dtype=bool)
    # A validation shopper's next events may reach into the test, which nothing is fitted to.
    before_test = hold_out(corpus, Split.TIME, refit=True).train

    def collect(targets: NDArray[np.int64], predicted: NDArray[np.bool_], group: str, *, cut: bool) -> Histories:
        return collect_histories(corpus, taxonomy, associations, targets, predicted, shop.decay, group, cut=cut)

    validation = {group: collect(holdout.validation, before_test, group, cut=True) for group in GROUPS}
    models = fit_models(shop, [of for of in validation.values() if len(of.following)])
    test = {
        way: {group: collect(holdout.test, everything, group, cut=way == "cut") for group in GROUPS}
        for way in ("cut", "whole")
    }
    validated = {group: measure_group(models, of) for group, of in validation.items()}
    return {
        "data": read_source(data),
        "categories": len(taxonomy.paths),
        "levels": [len(np.unique(level)) for level in shop.tree.nodes],
        "fitted": {name: model.fitted for name, model in models.items()},
        "likelihoods": _average_likelihoods(validated),
        "validation": validated,
        **{way: {group: measure_group(models, of) for group, of in groups.items()} for way, groups in test.items()},
    }


def measure_group(models: dict[str, Model], of: Histories) -> dict[str, Any] | None:
    """Measure all models on the histories of a group, each paired with the tree; None of too few shoppers."""
    if len(of.following) < MIN_SHOPPERS:
        return None
    predicted = {name: model.predict(of) for name, model in models.items()}
    metrics = {name: _measure_shoppers(models[name], chances, of) for name, chances in predicted.items()}
    return {
        "shoppers": len(of.following),
        "moved": float(np.abs(predicted[TREE] - predicted[FLAT]).sum(1).mean() / 2.0),
        "models": {
            name: {metric: _compare(values, metrics[TREE][metric]) for metric, values in of_model.items()}
            for name, of_model in metrics.items()
        },
    }


def _average_likelihoods(groups: dict[str, Any]) -> dict[str, float]:
    """Average each model's log-likelihood over the groups, the likeliest model first."""
    rows = [group["models"] for group in groups.values() if group is not None]
    names = [name for name in rows[0] if _LIKELIHOOD in rows[0][name]] if rows else []
    averages = {name: float(np.mean([row[name][_LIKELIHOOD]["value"] for row in rows])) for name in names}
    return dict(sorted(averages.items(), key=lambda each: -each[1]))


def _measure_shoppers(model: Model, chances: NDArray[np.float64], of: Histories) -> dict[str, NDArray[np.float64]]:
    """`[shoppers]` by metric; NaN of a shopper for whom it is not defined."""
    measured = {} if not model.has_probabilities else {_LIKELIHOOD: compute_log_likelihood(chances, of.following)}
    wanted = of.following > 0.0
    for k in _CUTOFFS:
        measured[f"recall@{k}"] = _compute_recall(chances, wanted, k)
    new = np.where(of.held, -1.0, chances)
    return measured | {"recall@10 of new": _compute_recall(new, wanted & ~of.held, 10)}


def _compute_recall(chances: NDArray[np.float64], wanted: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """`[shoppers]`: share of the wanted categories among the first k; NaN where none is wanted."""
    first = np.argsort(-chances, 1, kind="stable")[:, :k]
    # What a list does not name at all is not found, whatever its place.
    found = (np.take_along_axis(wanted, first, 1) & (np.take_along_axis(chances, first, 1) > 0.0)).sum(1)
    count = wanted.sum(1)
    return np.where(count > 0, found / np.maximum(np.minimum(count, k), 1), np.nan)


def _compare(values: NDArray[np.float64], of_tree: NDArray[np.float64]) -> dict[str, Any]:
    defined = ~np.isnan(values)
    differences = (of_tree - values)[defined]
    return {
        "shoppers": int(defined.sum()),
        "value": float(values[defined].mean()),
        "tree_minus": float(differences.mean()),
        "interval": bootstrap_interval(differences),
    }


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("category-smoothing", __doc__)
    parser.add_argument("sources", type=existing_folder, nargs="+", help="sources, or prepared data sets")
    options = parser.parse_args(arguments)
    where = results.describe_circumstances("python -m benchmarks category-smoothing SOURCE…")
    folders = [steps.prepare_source(source, steps.work_folder(source) / "data") for source in options.sources]
    content = {"circumstances": where, "sets": [measure(folder) for folder in folders]}
    text = format_report(content)
    results.write_results("category-smoothing", content, text)
    print(text)
    return 0
