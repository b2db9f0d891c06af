"""Every data source is complete, and the recipe of CONTRIBUTING for a new one works."""

import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest

from portrait.training import commands
from portrait.training.prepare import sources
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.sources import SOURCES, detect_source

ROOT = Path(__file__).parents[4]
MODULES = sorted(module.name for module in pkgutil.iter_modules(sources.__path__))

NEW_SOURCE = '''
"""Orders of a till: `till.csv` with buyer, article and second."""

from pathlib import Path

import duckdb

from portrait.features.events import EventType
from portrait.training.dataset.sql import literal
from portrait.training.prepare import schema, tables
from portrait.training.prepare.values import timestamp


def recognises(path: Path) -> bool:
    """Tell whether the folder holds the till's file."""
    return (path / "till.csv").exists()


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    orders = tables.read_table(connection, path / "till.csv", "orders")
    orders.require("buyer", "article", "second")
    columns = {"file": literal("till.csv"), "row": "row", "type": literal(EventType.PURCHASE)}
    columns |= {"shopper_id": "buyer", "item_id": "article", "time": timestamp("second")}
    schema.create_view(connection, "raw_events", "orders", columns)
    schema.create_empty_view(connection, "raw_items")
    schema.create_empty_view(connection, "raw_shoppers")
'''


def _missing(module: str) -> list[str]:
    """Name the parts that a source lacks."""
    name = module.replace("_", "-")
    source = importlib.import_module(f"{sources.__name__}.{module}")
    option = inspect.signature(commands.prepare).parameters["source"].annotation.__metadata__[0].help
    parts = {
        "the function recognises(path)": callable(getattr(source, "recognises", None)),
        "the function load(connection, path)": callable(getattr(source, "load", None)),
        f"the entry {name!r} in SOURCES": SOURCES.get(name) is source,
        f"{name!r} in the help of --source": name in option,
        f"`{name}` in docs/data.md": f"`{name}`" in (ROOT / "docs" / "data.md").read_text(encoding="utf-8"),
    }
    return [part for part, present in parts.items() if not present]


@pytest.mark.parametrize("module", MODULES)
def test_a_source_lacks_no_part(module: str) -> None:
    missing = _missing(module)
    assert not missing, f"prepare/sources/{module}.py lacks {', '.join(missing)}"


def test_events_is_detected_after_all_sources_with_files_of_their_own() -> None:
    names = list(SOURCES)
    assert set(names[names.index("events") + 1 :]) <= {"complete-journey"}, "add a new source before 'events'"


def test_a_source_that_follows_the_recipe_is_detected_and_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "till.py").write_text(NEW_SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("till", tmp_path / "till.py")
    assert spec is not None
    assert spec.loader is not None
    till = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(till)
    monkeypatch.setattr(sources, "SOURCES", {"till": till, **SOURCES})
    log = tmp_path / "log"
    log.mkdir()
    rows = "ann,lamp,2026-01-01T10:00:00Z\nbob,rug,2026-01-02T10:00:00Z\n"
    (log / "till.csv").write_text(f"buyer,article,second\n{rows}", encoding="utf-8")
    assert detect_source(log) == "till"
    report = prepare_data_set("till", lambda connection: till.load(connection, log), tmp_path / "data")
    assert (report.kept, report.shoppers, report.items) == (2, 2, 2)
    assert report.events_by_type == {"purchase": 2}
