"""The table and the plot of ranking quality."""

from typing import Any

import numpy as np

from benchmarks.common.ranking.tables import PORTRAIT, format_ranking
from benchmarks.common.results import RESULTS, format_origin


def format_report(results: dict[str, Any]) -> str:
    """Format the table of one data set, a section for each protocol."""
    lines = [
        f"# Ranking quality: {results['data']}",
        "",
        f"{format_origin(results['circumstances'])} "
        f"{results['shoppers']:,} shoppers, all {results['items']:,} items ranked, seen items {results['seen_items']}; "
        "settings chosen on validation; 95% bootstrap intervals over shoppers.",
    ]
    for protocol, models in results["protocols"].items():
        lines += ["", f"## {protocol.capitalize()}", "", *format_ranking(models)]
    return "\n".join(lines) + "\n"


def plot_report(results: dict[str, Any], name: str) -> None:
    """Draw `<name>.svg` among the results: NDCG@10 of every model with its interval, one panel a protocol."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    protocols = results["protocols"]
    figure, panels = pyplot.subplots(1, len(protocols), figsize=(5.5 * len(protocols), 3.2), sharex=True, squeeze=False)
    for panel, (protocol, models) in zip(panels[0], protocols.items(), strict=True):
        rows = [models[name]["measures"]["NDCG@10"] for name in models]
        values = np.array([row["value"] for row in rows])
        spread = np.abs(np.array([row["interval"] for row in rows]).T - values)
        colours = ["#1f6feb" if name.startswith(PORTRAIT) else "#8b949e" for name in models]
        panel.barh(list(models), values, xerr=spread, color=colours)
        panel.invert_yaxis()
        panel.set_title(f"{results['data']}, {protocol}: NDCG@10", fontsize=10)
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.svg")
    pyplot.close(figure)
