"""A cache of tuned and ranked baselines, so that a benchmark that was stopped continues after them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def find_cached(folder: Path, subject: dict[str, Any], find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the cached finding for a subject, or compute it with `find` and cache it.

    Args:
        folder: where findings are kept, a file each.
        subject: all that a finding depends on, as JSON has it.
        find: finds it; as JSON has it.
    """
    key = hashlib.sha256(json.dumps(subject, sort_keys=True, default=str).encode()).hexdigest()[:16]
    path = folder / f"{key}.json"
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["found"]
        return known
    found = find()
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"subject": subject, "found": found}), encoding="utf-8")
    temporary.replace(path)
    return found


def hash_file(path: Path) -> str:
    """Hash the content of a file with SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
