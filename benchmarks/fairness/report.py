"""The result as Markdown."""

from collections.abc import Iterator
from typing import Any

from benchmarks.common import results
from portrait.reporting.fairness.measures import EXCESS, Kind

PLAIN = "as it is"
"""Name of the ranking without a mitigation."""


def format_report(content: dict[str, Any]) -> str:
    """Format all tables."""
    variants = content["variants"]
    return "\n".join(
        [
            f"# Fairness: {content['data']}",
            "",
            f"{results.format_origin(content['circumstances'])} Split by time; {content['shoppers']:,} shoppers' next "
            f"item, all {content['items']:,} items ranked. 95% bootstrap intervals over shoppers, differences from the "
            "ranking as it is paired by shopper. Groups of fewer than "
            f"{variants[PLAIN]['audit']['minimum_group']} test shoppers are left out.",
            "",
            "`erased`: a run trained with `--erase`. `own categories`: re-ranking of the first hundred items by their "
            "chances and, with that strength, by how far categories differ from what the shopper did.",
            "",
            "## All test shoppers",
            "",
            *_format_exposure(content),
            "",
            "## NDCG@10 by group: as it is, and what each variant adds",
            "",
            *_format_groups(variants),
            "",
            "## Distance between what a group and all others are shown",
            "",
            "Total variation of the categories of the first ten places; `by chance` is what one in twenty random "
            "groups of that size exceeds, `earlier` the distance between what both had done before.",
            "",
            *_format_distances(variants),
            "",
            "## Errors of traits by group",
            "",
            "Probability given minus how often it came true, and its difference from all other shoppers; the test of "
            "the traits has other shoppers than that of the ranking.",
            "",
            *_format_traits(variants),
            "",
            "## What the first ten items tell",
            "",
            "A linear probe (TF-IDF of the ten items, five-fold cross-validation over shoppers): accuracy with its "
            "interval, and mean AUC of one value against the rest.",
            "",
            *_format_probes(variants),
        ]
    )


def _format_exposure(content: dict[str, Any]) -> Iterator[str]:
    columns = list(content["exposure"][PLAIN])
    yield f"| variant | {' | '.join(columns)} | NDCG@10 minus as it is |"
    yield "|---" * (len(columns) + 2) + "|"
    for name, measures in content["exposure"].items():
        cells = [_format_value(measures[column]) for column in columns]
        paired = content["variants"][name]["minus_plain"]["NDCG@10"]
        yield f"| {name} | {' | '.join(cells)} | {'' if name == PLAIN else _format_difference(paired)} |"


def _format_groups(variants: dict[str, Any]) -> Iterator[str]:
    others = [name for name in variants if name != PLAIN]
    yield f"| group | shoppers | as it is | minus all others | {' | '.join(others)} |"
    yield "|---" * (len(others) + 4) + "|"
    for audited in variants[PLAIN]["audit"]["attributes"]:
        [measured] = [each for each in audited["measures"] if each["name"] == "NDCG@10"]
        for figure in measured["groups"]:
            compared = [variants[name]["groups"][audited["attribute"]][figure["group"]]["NDCG@10"] for name in others]
            yield (
                f"| {audited['title']}: {figure['group']} | {figure['shoppers']:,} | {figure['value']['value']:.4f} "
                f"| {_format_gap(figure['gap'])} | {' | '.join(map(_format_difference, compared))} |"
            )


def _format_distances(variants: dict[str, Any]) -> Iterator[str]:
    yield f"| group | earlier | by chance | {' | '.join(variants)} |"
    yield "|---" * (len(variants) + 3) + "|"
    audits = [variant["audit"]["attributes"] for variant in variants.values()]
    for audited in zip(*audits, strict=True):
        for figures in zip(*(each["exposures"][0]["groups"] for each in audited), strict=True):
            first = figures[0]
            shown = " | ".join(f"{figure['shown']:.4f}" for figure in figures)
            yield (
                f"| {audited[0]['title']}: {first['group']} | {first['earlier']:.4f} | {first['by_chance']:.4f} "
                f"| {shown} |"
            )


def _format_traits(variants: dict[str, Any]) -> Iterator[str]:
    """Format the traits of the two runs; a re-ranking has those of the run."""
    names = [name for name, variant in variants.items() if variant["run"] == name]
    yield f"| trait, group | shoppers | {' | '.join(f'{name} | minus all others' for name in names)} |"
    yield "|---" * (2 * len(names) + 2) + "|"
    audits = [variants[name]["audit"]["attributes"] for name in names]
    for audited in zip(*audits, strict=True):
        measures = ([each for each in one["measures"] if each["kind"] == Kind.TRAITS] for one in audited)
        for measured in zip(*measures, strict=True):
            if measured[0]["name"].endswith(EXCESS):
                for figures in zip(*(each["groups"] for each in measured), strict=True):
                    cells = (f"{_format_signed(each['value'])} | {_format_gap(each['gap'])}" for each in figures)
                    group = f"{measured[0]['name'].removesuffix(EXCESS)}, {figures[0]['group']}"
                    yield f"| {group} | {figures[0]['shoppers']:,} | {' | '.join(cells)} |"


def _format_probes(variants: dict[str, Any]) -> Iterator[str]:
    attributes = list(variants[PLAIN]["probes"])
    yield f"| variant | {' | '.join(attributes)} |"
    yield "|---" * (len(attributes) + 1) + "|"
    for name, variant in variants.items():
        cells = (
            "{accuracy:.3f} ({interval[0]:.3f} to {interval[1]:.3f}), {auc:.3f}".format(**variant["probes"][attribute])
            for attribute in attributes
        )
        yield f"| {name} | {' | '.join(cells)} |"


def _format_value(estimate: dict[str, Any]) -> str:
    low, high = estimate["interval"]
    return f"{estimate['value']:.4f} ({low:.4f} to {high:.4f})"


def _format_signed(estimate: dict[str, Any]) -> str:
    return _format_difference({"difference": estimate["value"], "interval": estimate["interval"]})


def _format_gap(gap: dict[str, Any] | None) -> str:
    return _format_signed(gap) if gap else ""


def _format_difference(paired: dict[str, Any]) -> str:
    low, high = paired["interval"]
    return f"{paired['difference']:+.4f} ({low:+.4f} to {high:+.4f})"
