"""The command line of k6 for a workload."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).resolve()


def find_k6() -> str | None:
    """The k6 of this Python's environment, or of the PATH; None if there is none."""
    return shutil.which("k6", path=str(Path(sys.executable).parent)) or shutil.which("k6")


def command(k6: str, workload: Path, variables: Mapping[str, str]) -> list[str]:
    """Put together how k6 runs a workload.

    Args:
        k6: the program.
        workload: a file of calls.
        variables: of `shoppers.js`.
    """
    told = {"WORKLOAD": str(workload.resolve()), "PROTOS": str(_shipped("protos", 4)), **variables}
    settings = [part for name, value in told.items() for part in ("-e", f"{name}={value}")]
    return [k6, "run", "--no-usage-report", *settings, str(_shipped("loadtest", 3) / "shoppers.js")]


def _shipped(name: str, levels: int) -> Path:
    """A folder of the installed package, or that many levels above this file where a checkout is used."""
    installed = _HERE.parents[2] / name
    return installed if installed.is_dir() else _HERE.parents[levels] / name
