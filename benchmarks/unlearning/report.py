"""The result as Markdown, and the targets."""

from collections.abc import Iterator
from typing import Any

from benchmarks.common import results
from portrait.training.run.unlearning import KEPT_WEIGHTS, STEP_SHARE

MAX_AUC = 0.52
MAX_TIME_SHARE = 0.25


def judge(percent: int, measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Judge the targets of one set: name, value, bound, and whether it is met.

    Args:
        percent: share of the shoppers that are forgotten.
        measured: `auc`, `quality`, `minus_retrained` and `seconds` of the set.
    """
    name = f"unlearnt {percent}"
    seconds = measured["seconds"]
    worst = max(each["auc"] for each in measured["auc"][name].values())
    _, high = measured["minus_retrained"][name]["interval"]
    whole = seconds["retrained"] - seconds["baselines of retrained"]
    return [
        {
            "name": "AUC of the stronger attack",
            "value": worst,
            "bound": f"at most {MAX_AUC}",
            "passed": worst <= MAX_AUC,
        },
        {
            "name": "NDCG@10 minus retrained",
            "value": measured["minus_retrained"][name]["difference"],
            "bound": "interval not below 0",
            "passed": high >= 0,
        },
        {
            "name": "processor time, of a training without its comparison with baselines",
            "value": seconds["unlearnt"] / whole,
            "bound": f"at most {MAX_TIME_SHARE}",
            "passed": seconds["unlearnt"] <= MAX_TIME_SHARE * whole,
        },
    ]


def format_report(content: dict[str, Any]) -> str:
    """Format all tables."""
    return "\n".join(
        [
            f"# Unlearning: {content['data']}",
            "",
            f"{results.format_origin(content['circumstances'])} {content['shoppers']['all']:,} shoppers, of whom "
            f"{content['shoppers']['unseen']:,} are seen by no model. Settings: `{content['settings']}`, else those of "
            f"`--preset quick`. `unlearnt`: by `portrait unlearn`, which keeps {KEPT_WEIGHTS:g} of the earlier weights "
            f"and takes {STEP_SHARE:.0%} of the steps. `retrained`: by `portrait train` on the same data. `reference`: "
            "the same with another seed.",
            "",
            "## Membership attack",
            "",
            "Area under the ROC curve of an attack that tells the forgotten from shoppers whom no model has seen, with "
            "95% bootstrap intervals over shoppers. .5 is chance. The attack compares the model's losses on a "
            "shopper's events with those of models that saw neither: by the softmax of the encoders over all items, "
            "and by the chances that a release returns.",
            "",
            "| forgotten | model | encoders | ranking |",
            "|---" * 4 + "|",
            *_format_attacks(content["sets"]),
            "",
            "## Quality",
            "",
            "NDCG@10 on the test of the shoppers who stay; differences are paired by shopper.",
            "",
            "| forgotten | model | NDCG@10 | minus retrained |",
            "|---" * 4 + "|",
            *_format_quality(content["sets"]),
            "",
            "## Time",
            "",
            "Processor seconds of one process. A retraining also tunes baselines and compares itself with them; "
            "unlearning leaves that to `portrait evaluate`.",
            "",
            "| forgotten | unlearnt | retrained | of which baselines | steps |",
            "|---" * 5 + "|",
            *_format_times(content["sets"]),
            "",
            "## Targets",
            "",
            "| forgotten | target | measured | bound | met |",
            "|---" * 5 + "|",
            *_format_targets(content["sets"]),
            "",
        ]
    )


def _format_attacks(sets: dict[int, dict[str, Any]]) -> Iterator[str]:
    for percent, measured in sets.items():
        for name, aucs in measured["auc"].items():
            cells = " | ".join(_format_value(each["auc"], each["interval"]) for each in aucs.values())
            yield f"| {percent}% ({measured['forgotten']:,}) | {name} | {cells} |"


def _format_quality(sets: dict[int, dict[str, Any]]) -> Iterator[str]:
    for percent, measured in sets.items():
        for name, value in measured["quality"].items():
            paired = measured["minus_retrained"].get(name)
            minus = "" if paired is None else _format_value(paired["difference"], paired["interval"], "+.4f")
            yield f"| {percent}% | {name} | {_format_value(value['value'], value['interval'])} | {minus} |"


def _format_times(sets: dict[int, dict[str, Any]]) -> Iterator[str]:
    for percent, measured in sets.items():
        seconds, steps = measured["seconds"], measured["steps"]
        yield (
            f"| {percent}% | {seconds['unlearnt']:.0f} | {seconds['retrained']:.0f} "
            f"| {seconds['baselines of retrained']:.0f} | {steps['unlearnt']} of {steps['before']} |"
        )


def _format_targets(sets: dict[int, dict[str, Any]]) -> Iterator[str]:
    for percent, measured in sets.items():
        for row in measured["targets"]:
            met = "yes" if row["passed"] else "**no**"
            yield f"| {percent}% | {row['name']} | {row['value']:.3f} | {row['bound']} | {met} |"


def _format_value(value: float, interval: tuple[float, float], form: str = ".4f") -> str:
    low, high = interval
    return f"{value:{form}} ({low:{form}} to {high:{form}})"
