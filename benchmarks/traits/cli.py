"""Traits on public data: `python -m benchmarks traits --shop SOURCE`.

The source is open-ecommerce, whose declared traits are measured; coupon redemption is measured on complete-journey,
which an installed package brings. Results go to `benchmarks/results/`.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.common import results, steps
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.traits import campaigns
from portrait.training.prepare.sources import complete_journey
from portrait.training.run import run as runs
from portrait.training.traits import artifacts

NAME = "traits"


def format_report(content: dict[str, Any]) -> str:
    """Format all figures as Markdown."""
    lines = [
        "# Traits", "",
        f"{results.format_origin(content['circumstances'])} "
        "Heads, their strength and their calibration are chosen on "
        "validation, the test is read once; 95% bootstrap intervals over shoppers, paired for differences. RFM is a "
        "logistic regression on recency, frequency and monetary value, tuned and calibrated alike.",
    ]  # fmt: skip
    if shop := content.get("shop"):
        lines += ["", "## open-ecommerce", "", *_format_shop(shop)]
    if redeemed := content.get("campaigns"):
        lines += ["", "## complete-journey: p(redeem | shopper, campaign)", "", *_format_campaigns(redeemed)]
    return "\n".join(lines) + "\n"


def _format_shop(declared: list[dict[str, Any]]) -> list[str]:
    columns = ("trait", "test", "AUC", "RFM", "AUC above RFM", "calibration error", "RFM", "Brier score", "head")
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for entry in declared:
        if entry["absent"]:
            rows.append(f"| {entry['name']} | absent: {entry['absent']} |" + " |" * (len(columns) - 2))
            continue
        test, part, head = entry["test"], entry["samples"]["test"], entry["head"]
        rows.append(
            f"| {entry['name']} | {part['positives']:,} of {part['samples']:,} | {_format_figure(test['auc'])} | "
            f"{_format_figure(entry['rfm']['auc'])} | {_format_figure(entry['auc_above_rfm'], '+.3f')} | "
            f"{_format_figure(test['calibration_error'])} | {entry['rfm']['calibration_error']['value']:.3f} | "
            f"{test['brier']['value']:.3f} | {'profile and ' if head['profile'] else ''}statistics, "
            f"{head['hidden'] or 'no'} hidden |"
        )
    return rows


def _format_campaigns(found: dict[str, Any]) -> list[str]:
    part = found["parts"]["test"]
    rows = [
        f"{part['pairs']:,} pairs of a household and one of {len(part['campaigns'])} campaigns, {part['redeemed']:,} "
        f"redeemed. Validation chose *{found['chosen']}*.", "",
        "| model | AUC | Portrait's AUC minus this | calibration error |", "|---" * 4 + "|",
    ]  # fmt: skip
    for name, test in found["test"].items():
        paired = found["portrait_minus_this"].get(name)
        rows.append(
            f"| {name} | {_format_figure(test['auc'])} | {_format_figure(paired, '+.3f') if paired else ''} | "
            f"{_format_figure(test['calibration_error'])} |"
        )
    return rows


def _format_figure(row: dict[str, Any], form: str = ".3f") -> str:
    low, high = row["interval"]
    return f"{row['value']:{form}} ({low:{form}} to {high:{form}})"


def plot_reliability(content: dict[str, Any]) -> None:
    """Draw the reliability curves, a panel each."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    curves = {entry["name"]: entry["reliability"] for entry in content.get("shop", []) if not entry["absent"]}
    if redeemed := content.get("campaigns"):
        curves["coupon redemption"] = redeemed["reliability"]
    figure, panels = pyplot.subplots(1, len(curves), figsize=(3.2 * len(curves), 3.4), squeeze=False)
    for panel, (name, points) in zip(panels[0], curves.items(), strict=True):
        panel.plot([0, 1], [0, 1], "--", color="#8b949e", linewidth=1)
        panel.plot([point["predicted"] for point in points], [point["rate"] for point in points], "o-", color="#1f6feb")
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("predicted", fontsize=9)
    panels[0][0].set_ylabel("came true", fontsize=9)
    figure.tight_layout()
    figure.savefig(results.RESULTS / f"{NAME}.svg")
    pyplot.close(figure)


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("traits", __doc__)
    parser.add_argument("--shop", type=existing_folder, help="the source open-ecommerce; left out if not given")
    parser.add_argument("--no-campaigns", action="store_true", help="leave the campaigns of complete-journey out")
    parser.add_argument("--work", type=Path, default=steps.WORK / "traits", help="folder for data sets and runs")
    options = parser.parse_args(arguments)
    if options.no_campaigns and not options.shop:
        parser.error("--no-campaigns without --shop leaves nothing to measure")
    content: dict[str, Any] = {
        "circumstances": results.describe_circumstances("python -m benchmarks traits --shop SOURCE")
    }
    split = ("--split", "time")
    if options.shop:
        data = steps.prepare_source(options.shop, options.work / "shop")
        run = steps.train_run(data, options.work / "shop-run", *split)
        traits = artifacts.load_traits(steps.learn_traits(run, steps.SHOP_TRAITS, steps.SHOP_COMPLETE_UNTIL))
        assert traits is not None
        content["shop"] = traits.declared
    if not options.no_campaigns:
        data = steps.prepare_complete_journey(options.work / "journey")
        run = steps.train_run(data, options.work / "journey-run", *split)
        content["campaigns"] = campaigns.measure(runs.load_run(run), complete_journey.find_installed())
    results.write_results(NAME, json.loads(json.dumps(content, default=float)), format_report(content))
    plot_reliability(content)
    print(format_report(content))
    return 0
