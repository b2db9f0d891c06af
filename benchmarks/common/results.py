"""Result files: JSON for programs, Markdown for people, with the command, machine, date and commit of each run."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.common.machine import describe_machine

RESULTS = Path(__file__).parents[1] / "results"


def describe_circumstances(command: str) -> dict[str, str]:
    """Describe a run: command, machine, date, commit. Call it before the work begins."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, encoding="utf-8", check=False)
    return {
        "command": command,
        "machine": describe_machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
    }


def format_origin(where: dict[str, str]) -> str:
    """Format the command, date, machine and commit of a table."""
    return f"`{where['command']}`, {where['date']}, {where['machine']}, commit {where['commit']}."


def write_results(name: str, results: Any, text: str) -> None:
    """Write `<name>.json` and `<name>.md` into the results, each atomically."""
    for suffix, content in ((".json", json.dumps(results, indent=2) + "\n"), (".md", text)):
        temporary = RESULTS / f".{name}{suffix}.tmp"
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(RESULTS / f"{name}{suffix}")
