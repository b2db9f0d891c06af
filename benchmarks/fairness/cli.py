"""Mitigations of unfairness, with their price: `python -m benchmarks fairness SOURCE`.

The shoppers of SOURCE declare demographics. One run is trained with `--split time`, one likewise with `--erase`; the
first is also re-ranked so that categories are as frequent as in what each shopper did. Results go to
`benchmarks/results/`.
"""

import dataclasses
from typing import Any

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, existing_folder, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.errors import BenchmarkError
from benchmarks.common.ranking.tables import compare_paired
from benchmarks.fairness import groups, report
from benchmarks.fairness.reranking import calibrate_categories
from portrait.reporting.fairness.audit import audit_fairness
from portrait.training.enums import Split
from portrait.training.run import evaluation
from portrait.training.run import run as runs
from portrait.training.run.evaluation import RankedTargets
from portrait.training.run.run import TrainedRun
from portrait.training.settings import parse_demographics

STRENGTHS = (0.01, 0.1, 0.5)
"""Strengths of the re-ranking; set before anything was measured by them."""


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("fairness", __doc__)
    add_source(parser)
    parser.add_argument("--run", type=existing_folder, help="run trained with --split time; else one is made")
    parser.add_argument("--erased", type=existing_folder, help="run trained alike, but with --erase; else one is made")
    parser.add_argument("--by", default="gender,age_band", help="declared attributes (gender,age_band)")
    options = parser.parse_args(arguments)
    work = options.work or steps.work_folder(options.source)
    where = results.describe_circumstances("python -m benchmarks fairness SOURCE")
    data = steps.prepare_source(options.source, work / "data")
    split = ("--split", "time")
    folders = (
        options.run or steps.train_run(data, work / "quick", *split),
        options.erased or steps.train_run(data, work / "concealed", *split, "--erase", options.by),
    )
    trained, erased = (
        runs.load_run(steps.learn_traits(folder, steps.SHOP_TRAITS, steps.SHOP_COMPLETE_UNTIL)) for folder in folders
    )
    _require_same_settings(trained, erased)
    content = _measure(trained, erased, options.by) | {"data": read_source(data), "circumstances": where}
    text = report.format_report(content)
    results.write_results(f"fairness-{content['data']}", content, text)
    print(text)
    return 0


def _require_same_settings(trained: TrainedRun, erased: TrainedRun) -> None:
    if trained.settings.split is not Split.TIME or trained.settings.erase:
        raise BenchmarkError(f"{trained.folder} must be trained with --split time and without --erase")
    if not erased.settings.erase:
        raise BenchmarkError(f"{erased.folder} erases nothing: train it with --erase")
    if dataclasses.replace(erased.settings, erase=()) != trained.settings:
        raise BenchmarkError(f"{erased.folder} was trained with other settings than {trained.folder}")


def _measure(trained: TrainedRun, erased: TrainedRun, by: str) -> dict[str, Any]:
    """Audit each variant, and compare it with the ranking as it is, on the same test shoppers."""
    attributes = parse_demographics(by)
    plain = evaluation.rank_test_targets(trained)
    erased_name = f"erased ({', '.join(erased.settings.erase)})"
    variants: dict[str, tuple[TrainedRun, RankedTargets]] = {
        report.PLAIN: (trained, plain),
        erased_name: (erased, evaluation.rank_test_targets(erased)),
    }
    for strength in STRENGTHS:
        variants[f"own categories, {strength:g}"] = (trained, calibrate_categories(trained, plain, strength))
    ours = evaluation.find_portrait_ranks(trained, plain)
    found: dict[str, Any] = {}
    for name, (run, ranked) in variants.items():
        ranks = evaluation.find_portrait_ranks(run, ranked)
        run_name = erased_name if run is erased else report.PLAIN
        found[name] = {
            "run": run_name,
            "audit": groups.describe_audit(audit_fairness(run, ranked, attributes), with_traits=name == run_name),
            "minus_plain": compare_paired(ranks, ours),
            "groups": groups.compare_groups(trained, ranks, ours, attributes),
            "probes": groups.probe_shown(run, ranked, attributes),
        }
        print(f"{name}: NDCG@10 {found[name]['minus_plain']['NDCG@10']['difference']:+.4f}")
    return {
        "shoppers": len(ours),
        "items": len(trained.corpus.items),
        "exposure": groups.measure_exposure(variants),
        "variants": found,
    }
