"""Measured explanations as Markdown and a plot."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import results
from benchmarks.explanations.cases import MIN_EVENTS
from benchmarks.explanations.deletion import DRAWS, MAX_ATTENTION_SHARE, MIN_WORDS

WAY_TITLES = {
    "cited": "what the explanation cites",
    "random": "others, by lot",
    "latest": "the latest",
    "nearest": "those of the items most like it",
    "evidence": "the evidence that the profile names",
}
_TITLES = {
    "recommendation": ("Events of a first recommendation", "score", ".3f"),
    "words": ("Words of its title", "score", ".3f"),
    "interest": ("Events of an interest", "weight, in points of attention", ".2%"),
}


def format_report(content: dict[str, Any]) -> str:
    """Format all results as Markdown."""
    lines = [
        "# Explanations", "",
        f"{results.format_origin(content['circumstances'])} "
        f"Test shoppers by lot, with {MIN_EVENTS} events or more; the releases run in the embedded Triton and are "
        "asked as a gateway asks them. 95% bootstrap intervals over shoppers, paired for differences; of removals by "
        f"lot the mean of {DRAWS} counts. One event is cited because its removal costs most, so that *one* is true by "
        "construction; of *three* only the single removals were tried before. Interests are the strongest that hold "
        f"at most {MAX_ATTENTION_SHARE:.0%} of the attention, titles have {MIN_WORDS} keywords or more.",
    ]  # fmt: skip
    for found in content["data_sets"]:
        lines += ["", f"## {found['data']}", "", f"Histories of {found['events']['mean']:.0f} events on average."]
        for what, lost in found["deletion"].items():
            lines += _format_deletion(what, lost)
        lines += [
            "", f"The sum of the single effects of three events by lot tells what goes when all three do: rank "
            f"correlation {found['joint']['spearman']:.3f} over {found['joint']['removals']:,} removals.",
        ]  # fmt: skip
        lines += _format_sanity(found["sanity"])
    return "\n".join(lines) + "\n"


def _format_deletion(what: str, lost: dict[str, Any]) -> Iterator[str]:
    title, unit, form = _TITLES.get(what, (what.capitalize(), "probability, in points", ".2%"))
    if not lost["shoppers"]:
        return
    yield from ("", f"### {title}", "", f"{lost['shoppers']:,} shoppers; lost of the {unit}.", "")
    yield "| removed | one | cited loses more | three | cited loses more | for so many shoppers |"
    yield "|---" * 6 + "|"
    one, three = lost["by_size"]["1"], lost["by_size"]["3"]
    for way in one:
        more = [side[way].get("cited_more") for side in (one, three)]
        wider = ["" if each is None else _format_figure(each, "+" + form) for each in more]
        share = "" if more[1] is None else f"{more[1]['share_of_shoppers']:.0%}"
        cells = (_format_figure(one[way], form), wider[0], _format_figure(three[way], form), wider[1], share)
        yield f"| {WAY_TITLES[way]} | {' | '.join(cells)} |"
    if left := lost["left_ten"]:
        yield from ("", "How often the item then is no longer among the ten best:", "")
        yield from ("| removed | one | three | cited more often |", "|---" * 4 + "|")
        for way, row in left["3"].items():
            more = row.get("cited_more")
            oftener = "" if more is None else _format_figure(more, "+.1%")
            one_left, three_left = _format_figure(left["1"][way], ".1%"), _format_figure(row, ".1%")
            yield f"| {WAY_TITLES[way]} | {one_left} | {three_left} | {oftener} |"


def _format_sanity(found: dict[str, Any]) -> Iterator[str]:
    shoppers = next(iter(found.values()))["shoppers"]
    yield from ("", "### Other models", "")
    yield (
        f"How far explanations of the same recommendation agree with those of the release, {shoppers} shoppers: rank "
        "correlation of the effects (1 is agreement, 0 none), and the share of three cited events that are the same."
    )
    yield from ("", "| model | events | cited events | by chance | words |", "|---" * 5 + "|")
    for name, row in found.items():
        words = _format_figure(row["words"], ".2f") if "words" in row else ""
        yield (
            f"| {name} | {_format_figure(row['events'], '.2f')} | {_format_figure(row['cited'], '.0%')} | "
            f"{row['by_chance']['value']:.0%} | {words} |"
        )


def _format_figure(row: dict[str, Any], form: str) -> str:
    low, high = row["interval"]
    return f"{row['value']:{form}} ({low:{form}} to {high:{form}})"


def plot_report(content: dict[str, Any], path: Path) -> None:
    """Draw the loss without three events and the agreement of other models, a row of panels for each data set."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    sets = content["data_sets"]
    figure, panels = pyplot.subplots(len(sets), 2, figsize=(9.0, 2.6 * len(sets)), squeeze=False)
    for (left, right), found in zip(panels, sets, strict=True):
        lost = found["deletion"]["recommendation"]["by_size"]["3"]
        _plot_bars(left, {WAY_TITLES[way]: row for way, row in lost.items()}, "#1f6feb")
        left.set_title(f"{found['data']}: score lost without three events", fontsize=9)
        _plot_bars(right, {name: row["events"] for name, row in found["sanity"].items()}, "#8250df")
        right.set_title("agreement with the release's explanations", fontsize=9)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _plot_bars(panel: Any, rows: dict[str, Any], colour: str) -> None:
    """Draw a bar with its interval for each row, the first on top."""
    names, values = list(rows)[::-1], list(rows.values())[::-1]
    means = [row["value"] for row in values]
    spread = [
        [row["value"] - row["interval"][0] for row in values],
        [row["interval"][1] - row["value"] for row in values],
    ]
    panel.barh(names, means, xerr=spread, color=colour, ecolor="#57606a", height=0.6)
    panel.axvline(0.0, color="#8b949e", linewidth=0.8)
    panel.tick_params(labelsize=8)
