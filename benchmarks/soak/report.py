"""The results of a soak as Markdown."""

from typing import Any

from benchmarks.common import results
from benchmarks.common.targets import format_table
from benchmarks.soak.samples import FILES, THREADS
from benchmarks.soak.series import WARM_UP
from benchmarks.soak.slopes import CONFIDENCE, MAX_UNKNOWN, NEGLIGIBLE

_MIB = 2**20


def format_report(kept: dict[str, Any]) -> str:
    """Format what the JSON file has."""
    hours, load = kept["seconds"] / 3600, kept["load_average"]
    done = ", ".join(f"{name} {count}" for name, count in kept["disturbances"].items())
    cores = ", ".join(f"{role} {used:.3f}" for role, used in kept["cores_used"].items())
    lines = [
        "# Soak",
        "",
        f"{results.format_origin(kept['circumstances'])} The run took {hours:.2f} hours; {kept['samples']:,} samples. "
        f"Load average of the machine, with all else that ran: {load['median']:.1f}, at most {load['highest']:.1f}.",
        "",
        *format_table(kept["rows"]),
        "",
        f"{done}. A view was kept for {kept['view_lifetime_seconds']:,} s. Cores used: {cores}.",
        "",
        f"Slopes by the hour, with their {CONFIDENCE:.0%} interval, behind a warm-up of {WARM_UP:.0%} of the run. "
        f"Growing: the lower end is above what is allowed and {NEGLIGIBLE:.0%} of the level; undecided: the upper end "
        f"is above what is allowed and {MAX_UNKNOWN:.0%} of the level. Sizes are in MiB.",
        "",
        "| series | minutes judged | level | slope by the hour | allowed | verdict |",
        "|---|---|---|---|---|---|",
        *map(_format_series, kept["series"]),
        "",
        "| calls | ended |",
        "|---|---|",
        *(
            f"| {kind} | {', '.join(f'{code} {count:,}' for code, count in found.items())} |"
            for kind, found in kept["codes"].items()
        ),
        "",
    ]
    return "\n".join(lines)


def _format_series(series: dict[str, Any]) -> str:
    unit = 1 if series["name"].endswith((FILES, THREADS)) else _MIB
    level, slope, low, high, allowed = (
        f"{series[name] / unit:,.2f}" for name in ("level", "slope", "low", "high", "allowed")
    )
    minutes = f"{series['seconds'] / 60:.0f}"
    return f"| {series['name']} | {minutes} | {level} | {slope} ({low} to {high}) | {allowed} | {series['verdict']} |"
