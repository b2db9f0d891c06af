"""The next category, and what profiles reveal of shoppers: `python -m benchmarks transfer SOURCE`.

The shoppers of SOURCE return to items they know, and declare demographics. One run is trained with `--split time`, one
likewise with `--erase`. Results go to `benchmarks/results/`.
"""

import dataclasses
from typing import Any

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, existing_folder, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.errors import BenchmarkError
from benchmarks.common.ranking import portrait_ranks as portrait
from benchmarks.common.ranking import tables as ranking
from benchmarks.common.ranking.baselines import RETURNING_BASELINES
from benchmarks.common.ranking.protocol import RankingTask
from benchmarks.transfer import privacy
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun


def compare_models(trained: TrainedRun, concealed: TrainedRun) -> dict[str, dict[str, Any]]:
    """Rank the test with every model; settings come from validation."""
    task = RankingTask(trained.corpus, trained.holdout)
    train_only = RankingTask(trained.corpus, hold_out(trained.corpus, trained.settings.split))
    found: dict[str, dict[str, Any]] = {}
    for baseline in RETURNING_BASELINES:
        settings, _, scorer = baseline.tuned(train_only)
        if trained.settings.refit:
            scorer = baseline.fitted(task, settings)
        found[baseline.name] = ranking.describe_model(settings, task.ranks(scorer, task.holdout.test))
        print(f"{baseline.name} {settings}: NDCG@10 {found[baseline.name]['measures']['NDCG@10']['value']:.4f}")
    if True:
        name = f"{ranking.PORTRAIT}, {', '.join(concealed.settings.erase)} concealed"
        found[name] = ranking.describe_model(dataclasses.asdict(concealed.settings), portrait.rank_targets(concealed))
    ours = ranking.describe_model(dataclasses.asdict(trained.settings), portrait.rank_targets(trained))
    for other in found.values():
        other["portrait_minus_this"] = ranking.compare_paired(ours["ranks"], other["ranks"])
    return found | {ranking.PORTRAIT: ours}


def format_report(content: dict[str, Any]) -> str:
    """Format ranking and probes as Markdown."""
    lines = [
        f"# Transfer and privacy: {content['data']}",
        "",
        f"{results.format_origin(content['circumstances'])} "
        f"Split by time; {content['targets']:,} shoppers' next item, all "
        f"{content['items']:,} items ranked, known ones among them; settings chosen on validation, models learnt from "
        f"what precedes the {'test' if content['refit'] else 'validation period'}. 95% bootstrap intervals over "
        "shoppers.",
        "",
        "## Next item",
        "",
        *ranking.format_ranking(content["ranking"]),
        "",
        "## What profiles tell",
        "",
        "Five-fold cross-validation over shoppers, each with one profile: the one before the shopper's last event. "
        f"Values that fewer than {privacy.MIN_SHOPPERS} shoppers declared are left out. AUC is the mean over values, "
        "each against the rest.",
    ]
    for attribute, rows in content["probes"].items():
        lines += [
            "", f"### {attribute}", "",
            "| what the probe sees | probe | shoppers | accuracy | 95% interval | AUC |", "|---" * 6 + "|",
        ]  # fmt: skip
        lines += [_format_row(row) for row in rows]
    return "\n".join(lines) + "\n"


def _format_row(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return (
        f"| {row['sees']} | {row['probe']} | {row['shoppers']:,} | {row['accuracy']:.3f} | {low:.3f} to {high:.3f} "
        f"| {row['auc']:.3f} |"
    )


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("transfer", __doc__)
    add_source(parser)
    parser.add_argument("--run", type=existing_folder, help="run trained with --split time; else one is made")
    parser.add_argument(
        "--concealed", type=existing_folder, help="run trained alike, but with --erase; else one is made"
    )
    options = parser.parse_args(arguments)
    work = options.work or steps.work_folder(options.source)
    where = results.describe_circumstances("python -m benchmarks transfer SOURCE")
    data = steps.prepare_source(options.source, work / "data")
    split = ("--split", "time")
    trained = runs.load_run(options.run or steps.train_run(data, work / "quick", *split))
    concealed = runs.load_run(
        options.concealed or steps.train_run(data, work / "concealed", *split, "--erase", "gender,age_band")
    )
    _require_same_settings(trained, concealed)
    probes = privacy.measure(data, trained, concealed)
    ranked = compare_models(trained, concealed)
    content = {
        "data": read_source(data),
        "circumstances": where,
        "targets": len(trained.holdout.test),
        "items": len(trained.corpus.items),
        "refit": trained.settings.refit,
        "ranking": {
            name: {key: value for key, value in model.items() if key != "ranks"} for name, model in ranked.items()
        },
        "probes": probes,
    }
    results.write_results(f"transfer-{content['data']}", content, format_report(content))
    print(format_report(content))
    return 0


def _require_same_settings(trained: TrainedRun, concealed: TrainedRun) -> None:
    if trained.settings.split is not Split.TIME or trained.settings.erase:
        raise BenchmarkError(f"{trained.folder} must be trained with --split time and without --erase")
    if not concealed.settings.erase:
        raise BenchmarkError(f"{concealed.folder} conceals nothing: train it with --erase")
    if dataclasses.replace(concealed.settings, erase=()) != trained.settings:
        raise BenchmarkError(f"{concealed.folder} was trained with other settings than {trained.folder}")
