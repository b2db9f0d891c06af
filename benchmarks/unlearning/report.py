"""The result as Markdown, and the targets."""

from collections.abc import Iterator
from typing import Any

from benchmarks.common import results
from benchmarks.unlearning.runs import BEFORE, RETRAINED, UNLEARNT

MAX_AUC = 0.52
MAX_TIME_SHARE = 0.25

_ATTACK = """
## Membership attack

Area under the ROC curve of an attack that tells the forgotten from shoppers whom no model has seen, with 95% bootstrap
intervals over shoppers. .5 is chance. The attack compares the model's losses on a shopper's events with those of models
that saw neither: by the softmax of the encoders over all items, and by the chances that a release returns. The mean is
over the draws, which have no unseen or forgotten shopper in common. The AUC of the retrained model differs from .5 by
the chance of who was drawn; differences to it are paired by shopper.
"""
_QUALITY = """
## Quality

NDCG@10 on the test of the shoppers who stay; differences are paired by shopper.
"""
_TIME = """
## Time

Processor seconds of one process. A retraining also tunes baselines and compares itself with them; unlearning leaves
that to `portrait evaluate`.
"""


def judge(aucs: dict[str, dict[str, Any]], draws: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Judge the targets of one set: name, value, bound, and whether it is met.

    Args:
        aucs: of the unlearnt runs, by signal, over all draws.
        draws: `minus_retrained` and `seconds` of each draw; the worst one counts.
    """
    auc = max(each["auc"] for each in aucs.values())
    worst = min((each["minus_retrained"][UNLEARNT] for each in draws), key=lambda found: found["interval"][1])
    share = max(compute_time_share(each["seconds"]) for each in draws)
    return [
        {"name": "AUC of the stronger attack", "value": auc, "bound": f"at most {MAX_AUC}", "passed": auc <= MAX_AUC},
        {
            "name": "NDCG@10 minus retrained, worst draw",
            "value": worst["difference"],
            "bound": "interval not below 0",
            "passed": worst["interval"][1] >= 0,
        },
        {
            "name": "processor time, of a training without its comparison with baselines, worst draw",
            "value": share,
            "bound": f"at most {MAX_TIME_SHARE}",
            "passed": share <= MAX_TIME_SHARE,
        },
    ]


def compute_time_share(seconds: dict[str, float]) -> float:
    """Compute the share of unlearning in the processor time of a training without its comparison with baselines."""
    return seconds[UNLEARNT] / (seconds[RETRAINED] - seconds["baselines"])


def format_report(content: dict[str, Any]) -> str:
    """Format all tables."""
    sets = content["sets"]
    any_draw = next(iter(next(iter(sets.values()))["draws"].values()))
    lines = [
        f"# Unlearning: {content['data']}",
        "",
        f"{results.format_origin(content['circumstances'])} {content['shoppers']:,} shoppers, a sixth of whom are seen "
        f"by no model. Settings: `{content['settings']}`, else those of `--preset quick`; the draw is the seed. "
        f"`unlearnt`: by `portrait unlearn`, which keeps {any_draw['kept_weights']:g} of the earlier weights. "
        "`retrained`: by `portrait train` on the same data. `reference`: the same with another seed. What is kept was "
        "chosen on draw 0 of Amazon Office 2018, which has none of the unseen and forgotten shoppers of draws 1 and 2.",
        *_ATTACK.splitlines(),
        "",
        *_make_table(
            "forgotten | draw | model | shoppers | encoders | ranking | minus retrained, encoders | ranking",
            _list_attacks(sets),
        ),
        *_QUALITY.splitlines(),
        "",
        *_make_table("forgotten | draw | model | NDCG@10 | minus retrained", _list_qualities(sets)),
        *_TIME.splitlines(),
        "",
        *_make_table(
            "forgotten | draw | unlearnt | retrained | of which baselines | share without these | steps",
            _list_times(sets),
        ),
        "",
        "## Targets",
        "",
        *_make_table("forgotten | target | measured | bound | met", _list_targets(sets)),
        "",
    ]
    return "\n".join(lines)


def _make_table(head: str, rows: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {head} |"
    yield "|---" * len(head.split(" | ")) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _list_attacks(sets: dict[int, dict[str, Any]]) -> Iterator[list[str]]:
    for percent, measured in sets.items():
        for group, models in measured["auc"].items():
            for name, aucs in models.items():
                first = next(iter(aucs.values()))
                shoppers = f"{first['members']:,} and {first['others']:,}"
                cells = [_format_value(each["auc"], each["interval"], ".3f") for each in aucs.values()]
                minus = [each["minus_retrained"] for each in aucs.values() if name != RETRAINED]
                cells += [_format_value(each["difference"], each["interval"], "+.3f") for each in minus] or ["", ""]
                yield [f"{percent}%", group, name, shoppers, *cells]


def _list_qualities(sets: dict[int, dict[str, Any]]) -> Iterator[list[str]]:
    for percent, draw, measured in _list_draws(sets):
        for name, value in measured["quality"].items():
            paired = measured["minus_retrained"].get(name)
            minus = "" if paired is None else _format_value(paired["difference"], paired["interval"], "+.4f")
            yield [f"{percent}%", str(draw), name, _format_value(value["value"], value["interval"]), minus]


def _list_times(sets: dict[int, dict[str, Any]]) -> Iterator[list[str]]:
    for percent, draw, measured in _list_draws(sets):
        seconds, steps = measured["seconds"], measured["steps"]
        spent = [f"{seconds[name]:.0f}" for name in (UNLEARNT, RETRAINED, "baselines")]
        share = f"{compute_time_share(seconds):.0%}"
        yield [f"{percent}%", str(draw), *spent, share, f"{steps[UNLEARNT]} of {steps[BEFORE]}"]


def _list_targets(sets: dict[int, dict[str, Any]]) -> Iterator[list[str]]:
    for percent, measured in sets.items():
        for row in measured["targets"]:
            yield [
                f"{percent}%",
                row["name"],
                f"{row['value']:.3f}",
                row["bound"],
                "yes" if row["passed"] else "**no**",
            ]


def _list_draws(sets: dict[int, dict[str, Any]]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    for percent, measured in sets.items():
        for draw, found in measured["draws"].items():
            yield percent, draw, found


def _format_value(value: float, interval: tuple[float, float], form: str = ".4f") -> str:
    low, high = interval
    return f"{value:{form}} ({low:{form}} to {high:{form}})"
