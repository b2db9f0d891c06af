"""Unlearning under attack: `python -m benchmarks unlearning SOURCE`.

A sixth of the shoppers of SOURCE is seen by no model. Of all others, 5% and 20% are forgotten: `portrait unlearn` makes
the next run, and `portrait train` a new one, from the same data set. A membership attack, which is calibrated on models
that saw neither the forgotten nor the unseen, tells the former from the latter before and after. This is repeated for
several draws of the shoppers, each with its own seed. What `portrait unlearn` keeps was chosen on draw 0 of Amazon
Office 2018; draws 1 and 2 have none of its unseen and forgotten shoppers. Results go to `benchmarks/results/`.
"""

import argparse
from typing import Any

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, make_parser
from benchmarks.unlearning import report
from benchmarks.unlearning.attack import SIGNALS, measure_auc
from benchmarks.unlearning.draw import ScoredRuns, attack, measure_quality_and_time
from benchmarks.unlearning.runs import BEFORE, RETRAINED, UNLEARNT, RunMaker
from benchmarks.unlearning.sets import DRAWS, draw_sets
from portrait.training.dataset.corpus import load_corpus
from portrait.training.enums import FineTuning

PERCENTAGES = (5, 20)
"""Shares of the shoppers that are forgotten, as in CURE4Rec (Chen et al. 2024, arXiv 2408.14393)."""
TEST_DRAWS = (1, 2)
"""Draws whose shoppers decided nothing."""
DIMENSION = 64
"""Smaller than the default, so that several trainings end on two cores."""


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if all targets are met, else 1."""
    options = _parse(arguments)
    settings = {"finetune": options.finetune, "dimension": DIMENSION}
    where = results.describe_circumstances(
        f"python -m benchmarks unlearning SOURCE --forget {_join(options.forget)} --draws {_join(options.draws)} "
        f"--finetune {options.finetune}"
    )
    work = (options.work or steps.work_folder(options.source)) / f"unlearning-{options.finetune}"
    everybody = load_corpus(steps.prepare_source(options.source, work / "everybody"))
    maker = RunMaker(options.source, work, everybody.shopper_ids, settings)
    scored, measured = {}, {}
    for draw in options.draws:
        sets = draw_sets(len(everybody.shopper_ids), tuple(options.forget), draw)
        drawn = maker.make(sets, draw)
        scored[draw] = attack(everybody, sets, drawn)
        measured[draw] = measure_quality_and_time(sets, drawn)
    content = {
        "data": options.source.resolve().name,
        "circumstances": where,
        "settings": settings,
        "shoppers": len(everybody.shopper_ids),
        "sets": {percent: _summarise(percent, scored, measured) for percent in options.forget},
    }
    text = report.format_report(content)
    suffix = "" if options.finetune == FineTuning.FROZEN else f"-{options.finetune}"
    results.write_results(f"unlearning-{content['data']}{suffix}", content, text)
    print(text)
    return 0 if all(row["passed"] for each in content["sets"].values() for row in each["targets"]) else 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = make_parser("unlearning", __doc__)
    add_source(parser)
    parser.add_argument(
        "--forget", type=int, nargs="+", default=PERCENTAGES, choices=range(1, 21), metavar="PERCENT",
        help="shares of the shoppers that are forgotten (5 20)",
    )  # fmt: skip
    parser.add_argument(
        "--draws", type=int, nargs="+", default=TEST_DRAWS, choices=range(DRAWS), help="draws of the shoppers (1 2)"
    )
    parser.add_argument(
        "--finetune", choices=[each.value for each in FineTuning], default=FineTuning.FROZEN.value,
        help="what is trained of the BERT (frozen, the cheapest)",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _join(numbers: list[int]) -> str:
    return " ".join(map(str, numbers))


def _summarise(
    percent: int, scored: dict[int, dict[int, ScoredRuns]], measured: dict[int, dict[int, dict[str, Any]]]
) -> dict[str, Any]:
    """Summarise a set: the AUC of each draw and their mean, quality and time of each draw, and the targets.

    Args:
        percent: share of the shoppers that are forgotten.
        scored: by draw and percentage.
        measured: by draw and percentage.
    """
    groups = {f"draw {draw}": [sets[percent]] for draw, sets in scored.items()}
    groups["mean"] = [sets[percent] for sets in scored.values()]
    auc = {group: _measure_aucs(drawn) for group, drawn in groups.items()}
    draws = {draw: sets[percent] for draw, sets in measured.items()}
    return {"auc": auc, "draws": draws, "targets": report.judge(auc["mean"][UNLEARNT], list(draws.values()))}


def _measure_aucs(drawn: list[ScoredRuns]) -> dict[str, dict[str, Any]]:
    """Measure the mean AUC over some draws, by name of the run and signal."""
    scored = {
        name: {signal: [each[name][signal] for each in drawn] for signal in SIGNALS}
        for name in (BEFORE, UNLEARNT, RETRAINED)
    }
    return {
        name: {signal: measure_auc(each, scored[RETRAINED][signal]) for signal, each in by_signal.items()}
        for name, by_signal in scored.items()
    }
