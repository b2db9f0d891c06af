"""The command that runs a workload with k6."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).resolve()


def find_k6() -> str | None:
    """Find k6 in this Python's environment, or on the PATH; None if there is none."""
    return shutil.which("k6", path=str(Path(sys.executable).parent)) or shutil.which("k6")


def build_command(k6: str, workload: Path, variables: Mapping[str, str]) -> list[str]:
    """Build the command that runs a workload.

    Args:
        k6: path of the program.
        workload: file of calls.
        variables: environment variables of `shoppers.js`.
    """
    environment = {"WORKLOAD": str(workload.resolve()), "PROTOS": str(_find_folder("protos", 4)), **variables}
    settings = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
    return [k6, "run", "--no-usage-report", *settings, str(_find_folder("loadtest", 3) / "shoppers.js")]


def _find_folder(name: str, levels: int) -> Path:
    """Find a folder of the installed package or, in a checkout, the given number of levels above this file."""
    installed = _HERE.parents[2] / name
    return installed if installed.is_dir() else _HERE.parents[levels] / name
