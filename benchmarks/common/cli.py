"""One benchmark by itself: `python -m benchmarks.serving.NAME REPOSITORY`."""

import argparse
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from benchmarks.common.machine import machine
from benchmarks.common.targets import Row


def alone(name: str, about: str | None, measure: Callable[..., list[Row]], **amounts: tuple[float, str]) -> int:
    """Measure and print a JSON row for each bar; returns 0 if all hold.

    Args:
        name: of the benchmark.
        about: what it does, for `--help`.
        measure: takes the model repository, and the amounts by name.
        amounts: options of the command line: default and meaning of each.
    """
    parser = argparse.ArgumentParser(prog=f"benchmarks.serving.{name}", description=about)
    parser.add_argument("repository", type=Path, help="model repository")
    for amount, (default, meaning) in amounts.items():
        parser.add_argument(f"--{amount}", type=type(default), default=default, help=meaning)
    chosen = vars(parser.parse_args())
    sys.stderr.write(f"{machine()}, {date.today()}\n")
    rows = measure(chosen.pop("repository"), **chosen)
    print("\n".join(map(str, rows)))
    return 0 if all(row.holds for row in rows) else 1
