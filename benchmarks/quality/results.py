"""Measured ranks as tables: JSON for programs, Markdown and a plot for people."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.quality.protocol import CUTS, MEASURES
from portrait.training.metrics import interval

RESULTS = Path(__file__).parents[1] / "results"
PORTRAIT = "Portrait"
_COLUMNS = (
    "model", "NDCG@5", "NDCG@10", "95% interval", "HR@10", "95% interval", "MRR@20", "Portrait's NDCG@10 minus this",
)  # fmt: skip


def measured(ranks: NDArray[np.int64]) -> dict[str, Any]:
    """Every measure at every cut with its 95% bootstrap interval."""
    rows = {}
    for name, measure in MEASURES.items():
        for cut in CUTS:
            values = measure(ranks, cut)
            rows[f"{name}@{cut}"] = {"value": float(values.mean()), "interval": interval(values)}
    return rows


def model(settings: dict[str, Any], ranks: NDArray[np.int64]) -> dict[str, Any]:
    """What stands of a model in the results: how it was set, its ranks, and every measure of them."""
    return {"settings": settings, "ranks": ranks, "measures": measured(ranks)}


def compared(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> dict[str, Any]:
    """Differences of NDCG@10 and HR@10 over the same shoppers, with paired 95% bootstrap intervals."""
    rows = {}
    for name in ("NDCG", "HR"):
        mine, other = MEASURES[name](ours, 10), MEASURES[name](theirs, 10)
        rows[f"{name}@10"] = {
            "difference": float((mine - other).mean()),
            "interval": interval(mine - other),
            "relative": float(mine.mean() / other.mean() - 1.0) if other.any() else None,
        }
    return rows


def circumstances(command: str) -> dict[str, str]:
    """What is run, where and when: command, machine, date, commit. To be asked before the work begins."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, encoding="utf-8", check=False)
    return {
        "command": command,
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
    }


def origin(where: dict[str, str]) -> str:
    """What made a table, when, where and from which commit."""
    return f"`{where['command']}`, {where['date']}, {where['machine']}, commit {where['commit']}."


def write(name: str, results: Any, text: str) -> None:
    """Write `<name>.json` and `<name>.md` among the results, each all of it or nothing."""
    for suffix, content in ((".json", json.dumps(results, indent=2) + "\n"), (".md", text)):
        temporary = RESULTS / f".{name}{suffix}.tmp"
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(RESULTS / f"{name}{suffix}")


def quality_table(results: dict[str, Any]) -> str:
    """The table of one data set, a section for each protocol."""
    lines = [
        f"# Ranking quality: {results['data']}",
        "",
        f"{origin(results['circumstances'])} "
        f"{results['shoppers']:,} shoppers, all {results['items']:,} items ranked, seen items {results['seen_items']}; "
        "settings chosen on validation; 95% bootstrap intervals over shoppers.",
    ]
    for protocol, models in results["protocols"].items():
        lines += ["", f"## {protocol.capitalize()}", "", *ranking_rows(models)]
    return "\n".join(lines) + "\n"


def ranking_rows(models: dict[str, dict[str, Any]]) -> list[str]:
    """One table: a row for each model by name, with its `measures` and, of other models, `portrait_minus_this`."""
    head = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    return head + [_row(name, model) for name, model in models.items()]


def _row(name: str, model: dict[str, Any]) -> str:
    values = model["measures"]
    cells = [name, f"{values['NDCG@5']['value']:.4f}"]
    for key in ("NDCG@10", "HR@10"):
        low, high = values[key]["interval"]
        cells += [f"{values[key]['value']:.4f}", f"{low:.4f} to {high:.4f}"]
    cells.append(f"{values['MRR@20']['value']:.4f}")
    if paired := model.get("portrait_minus_this"):
        low, high = paired["NDCG@10"]["interval"]
        relative = paired["NDCG@10"]["relative"]
        share = "" if relative is None else f", {relative:+.0%}"
        cells.append(f"{paired['NDCG@10']['difference']:+.4f} ({low:+.4f} to {high:+.4f}){share}")
    else:
        cells.append("")
    return "| " + " | ".join(cells) + " |"


def plot(results: dict[str, Any], name: str) -> None:
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
