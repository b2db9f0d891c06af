"""Cold start: items without training events, and shoppers with few events.

`python -m benchmarks cold-start SOURCE` writes a data set in which a tenth of the items have no event but as a
shopper's last one, trains a run on it, and ranks the catalogue for the shoppers whose last item is one of these. A
second run has a base model for which all texts are the same: what it loses is what the BERT is worth.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, make_parser
from benchmarks.common.constant_model import train_without_bert
from benchmarks.common.data_sets import read_source, write_with_events
from benchmarks.common.ranking import portrait_ranks as portrait
from benchmarks.common.ranking import tables as ranking
from benchmarks.common.ranking.baselines import BASELINES
from benchmarks.common.ranking.protocol import RankingTask
from portrait.training.baselines.protocol import Scorer
from portrait.training.dataset import readers
from portrait.training.dataset.data_set import REPORT_FILE
from portrait.training.encoders.retrieval import encode_targets
from portrait.training.run import run as runs
from portrait.training.settings import TrainSettings

COLD_SHARE, SEED = 0.1, 0
BOOSTS = (0.0, 1.0, 2.0, 2.5)
"""Nats added to the scores of cold items; see the setting `cold_item_boost`."""
WITHOUT_BERT = "Portrait without its BERT"
_COLD_BASELINES = ("popularity", "zero-shot MiniLM")
_CONTEXTS = ((1, 4), (5, 9), (10, None))
"""Events before the target, from and to."""


def write_cold_data(data: Path, out: Path) -> None:
    """Write a data set whose cold items occur as last events only; leave-one-out makes those its test targets."""
    events = readers.read_parquet(data / "events.parquet").sort("shopper_id", "sequence")
    items = readers.read_parquet(data / "items.parquet")
    cold = items["item_id"].sort().sample(int(COLD_SHARE * len(items)), seed=SEED)
    last = pl.int_range(pl.len()).over("shopper_id") == pl.len().over("shopper_id") - 1
    kept = events.filter(~pl.col("item_id").is_in(cold.implode()) | last)
    write_with_events(data, out, kept, cold_items=len(cold))


def measure(data: Path, run: Path, without_bert: Path) -> dict[str, Any]:
    """Rank cold targets among all items and among cold ones, and known targets by length of context.

    Args:
        data: the data set with cold items.
        run: a run on it.
        without_bert: a run of the same settings whose base model tells nothing.
    """
    trained = runs.load_run(run)
    task = RankingTask(trained.corpus, trained.holdout)
    test = trained.holdout.test
    cold_rows = np.flatnonzero(trained.holdout.item_counts == 0)
    is_cold = np.isin(trained.corpus.event_item[test], cold_rows)
    scorers = {"Portrait, retrieval alone": _make_retrieval_scorer(trained)}
    tuned = {}
    for baseline in BASELINES:
        if baseline.name in _COLD_BASELINES:
            tuned[baseline.name], _, scorers[baseline.name] = baseline.tuned(task)
    found: dict[str, dict[str, NDArray[np.int64]]] = {"cold items, among all items": {}, "cold items, among those": {}}
    served = _rank_with_boosts(trained)
    served[WITHOUT_BERT] = portrait.rank_targets(runs.load_run(without_bert))
    for name, ranks in served.items():
        found["cold items, among all items"][name] = ranks[is_cold]
    for name, scorer in scorers.items():
        found["cold items, among all items"][name] = task.ranks(scorer, test[is_cold])
        found["cold items, among those"][name] = task.ranks(scorer, test[is_cold], cold_rows)
    lengths = np.array([len(items) for items in task.histories(test)])
    for least, most in _CONTEXTS:
        inside = (lengths >= least) & (lengths <= (most or lengths.max())) & ~is_cold
        name = (
            f"known items, {least} to {most} events before" if most else f"known items, {least} events or more before"
        )
        found[name] = {model: ranks[inside] for model, ranks in served.items()}
        for baseline_name in _COLD_BASELINES:
            found[name][baseline_name] = task.ranks(scorers[baseline_name], test[inside])
    return {
        "cold_items": len(cold_rows),
        "settings": tuned,
        "slices": {
            name: {
                "targets": len(next(iter(models.values()))),
                "models": {model: ranking.compute_metrics(ranks) for model, ranks in models.items()},
                **_compare_with_ablation(models),
            }
            for name, models in found.items()
        },
    }


def _compare_with_ablation(models: dict[str, NDArray[np.int64]]) -> dict[str, Any]:
    """The worth of the BERT, where both runs were measured."""
    if WITHOUT_BERT not in models:
        return {}
    ours = models[_name_boost(TrainSettings.cold_item_boost)]
    return {"worth_of_bert": ranking.compare_paired(ours, models[WITHOUT_BERT])}


def _name_boost(boost: float) -> str:
    return f"Portrait, cold item boost {boost:g}"


def _rank_with_boosts(trained: runs.TrainedRun) -> dict[str, NDArray[np.int64]]:
    """Rank all test targets with increasing boosts of cold items."""
    found = {}
    for boost in BOOSTS:
        trained.ranker.cold_item_boost.fill_(boost)
        found[_name_boost(boost)] = portrait.rank_targets(trained)
    return found


def _make_retrieval_scorer(trained: runs.TrainedRun) -> Scorer:
    """Make a scorer by the inner product of profile and item vector."""
    vectors = encode_targets(trained.model, trained.cache, trained.corpus, trained.holdout.test)

    def score(targets: NDArray[np.int64]) -> NDArray[np.float32]:
        return vectors.profiles[np.searchsorted(vectors.targets, targets)] @ vectors.items.T

    return score


def format_report(content: dict[str, Any]) -> str:
    """Format the slices as Markdown."""
    lines = [
        f"# Cold starts: {content['data']}",
        "",
        f"{results.format_origin(content['circumstances'])} "
        f"{content['cold_items']:,} items have no event in training. Train only; 95% bootstrap intervals.",
        "",
        "| slice | targets | model | NDCG@10 | HR@10 | 95% interval |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in content["slices"].items():
        for model, values in part["models"].items():
            low, high = values["HR@10"]["interval"]
            lines.append(
                f"| {name} | {part['targets']:,} | {model} | {values['NDCG@10']['value']:.4f} "
                f"| {values['HR@10']['value']:.4f} | {low:.4f} to {high:.4f} |"
            )
    lines += [
        "",
        f"Paired differences of NDCG@10, {_name_boost(TrainSettings.cold_item_boost)} minus {WITHOUT_BERT}:",
        "",
        "| slice | difference | 95% interval |",
        "|---|---|---|",
    ]
    for name, part in content["slices"].items():
        if paired := part.get("worth_of_bert"):
            low, high = paired["NDCG@10"]["interval"]
            lines.append(f"| {name} | {paired['NDCG@10']['difference']:+.4f} | {low:+.4f} to {high:+.4f} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("cold-start", __doc__)
    add_source(parser)
    parser.add_argument("--name", help="name of the results (that of the data set's source)")
    options = parser.parse_args(arguments)
    work = options.work or steps.work_folder(options.source)
    data = steps.prepare_source(options.source, work / "data")
    cold = work / "cold-data"
    if not (cold / REPORT_FILE).exists():
        write_cold_data(data, cold)
    without = train_without_bert(cold, work / "cold-run-without-bert")
    command = "python -m benchmarks cold-start SOURCE" + (f" --name {options.name}" if options.name else "")
    circumstances = results.describe_circumstances(command)
    measured = measure(cold, steps.train_run(cold, work / "cold-run"), without)
    content = {"data": options.name or read_source(cold), "circumstances": circumstances, **measured}
    results.write_results(f"cold-{content['data']}", content, format_report(content))
    print(format_report(content))
    return 0
