"""Run a benchmark by its name: `python -m benchmarks NAME [options]`; without a name, list them.

`python -m benchmarks --extra NAME` prints the extras of the package that a benchmark needs.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from benchmarks.common.errors import BenchmarkError
from benchmarks.table import BENCHMARKS, Benchmark, format_table

WRONG_USE = 2
"""Exit code for a wrong name, path or option, and for data that a benchmark can't use."""


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark that the arguments name; return the exit code."""
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command `portrait` does
    match list(arguments):
        case [] | ["-h" | "--help"]:
            print(format_table())
            return 0
        case ["--extra", name] if name in BENCHMARKS:
            print(BENCHMARKS[name].extra)
            return 0
        case [name, *rest] if name in BENCHMARKS:
            return _run(BENCHMARKS[name], rest)
        case [*_, name]:
            return _fail(f"there is no benchmark {name!r}; `python -m benchmarks` lists them")
    raise AssertionError("every list of arguments is one of the cases")


def _run(benchmark: Benchmark, arguments: list[str]) -> int:
    from portrait.export.errors import ExportError
    from portrait.features.release.manifest import ReleaseError
    from portrait.training.errors import TrainingError

    try:
        module = importlib.import_module(benchmark.module)
        return int(module.main(arguments))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("benchmarks", "portrait")):
            raise
        return _fail(f"{error}; install the extra with: pip install --editable '.[{benchmark.extra}]'")
    except (BenchmarkError, TrainingError, ExportError, ReleaseError) as error:
        return _fail(str(error))


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return WRONG_USE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
