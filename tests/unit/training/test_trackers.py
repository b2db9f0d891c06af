"""Every tracker that can be chosen has a module, an extra and a line in the docs."""

import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from portrait.training import tracking
from portrait.training.enums import TrackerKind

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("kind", list(TrackerKind))
def test_a_tracker_lacks_no_part(kind: TrackerKind) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    parts = {
        f"the module tracking/{kind.value}.py": find_spec(f"{tracking.__name__}.{kind.value}") is not None,
        f"the extra {kind.value!r} in pyproject.toml": kind.value in extras,
        f"`--tracker {kind.value}` in docs/training.md": f"`--tracker {kind.value}`"
        in (ROOT / "docs" / "training.md").read_text(encoding="utf-8"),
    }
    missing = [part for part, present in parts.items() if not present]
    assert not missing, f"the tracker {kind.value} lacks {', '.join(missing)}"
