"""Command lines of benchmarks: shared arguments, and the whole command line of a benchmark with targets."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from benchmarks.common.machine import describe_machine
from benchmarks.common.steps import open_repository
from benchmarks.common.targets import Result


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Make the parser of a benchmark's arguments.

    Args:
        name: name of the benchmark in the table.
        description: docstring of its module.
    """
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def existing_folder(text: str) -> Path:
    """Parse the path of a folder that exists, as a type of argparse."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return path


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the arguments `source` and `--work`; `steps.work_folder` gives the default of the latter."""
    parser.add_argument("source", type=existing_folder, help="folder of a source, or of a prepared data set")
    parser.add_argument("--work", type=Path, help="folder for data sets and runs (.benchmarks/NAME OF THE SOURCE)")


def add_repository(parser: argparse.ArgumentParser) -> None:
    """Add the argument `repository`; `open_repository` takes its value."""
    parser.add_argument(
        "repository", type=existing_folder, help="model repository with a release, or a source to make one of"
    )


def run_part(
    name: str,
    description: str | None,
    measure: Callable[..., list[Result]],
    options: Mapping[str, tuple[float, str]],
    arguments: Sequence[str],
) -> int:
    """Measure targets and print a JSON line for each; return 0 if all pass, else 1.

    Args:
        name: name of the benchmark in the table.
        description: docstring of its module.
        measure: takes the model repository, and the options by name.
        options: options of the command line: default and meaning of each.
        arguments: arguments of the command line.
    """
    parser = make_parser(name, description)
    add_repository(parser)
    for option, (default, meaning) in options.items():
        parser.add_argument(f"--{option}", type=type(default), default=default, help=f"{meaning} ({default:g})")
    chosen = vars(parser.parse_args(arguments))
    sys.stderr.write(f"{describe_machine()}, {date.today()}\n")
    rows = measure(open_repository(chosen.pop("repository")), **chosen)
    print("\n".join(map(str, rows)))
    return 0 if all(row.passed for row in rows) else 1
