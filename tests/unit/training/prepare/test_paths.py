"""No name of a file or a folder changes what is read from it."""

import re
from itertools import cycle
from pathlib import Path

import polars as pl
import pytest

from portrait.training.dataset import corpus, readers
from portrait.training.errors import TrainingError
from portrait.training.prepare.engine import fetch_one, open_engine
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.report import Report
from portrait.training.prepare.sources import events

ROOT = Path(__file__).parents[4]
READ_BY_NAME = re.compile(
    r"\b(read_csv|read_parquet|scan_parquet|scan_csv|read_ndjson\w*|parquet_scan|read_json(?!_object\()\w*)\("
)
NAMES = [
    "shop*", "shop?", "{shop,other}", "sh'op", 'sh"op', "100%", "$HOME", "~", "a=b", "**", "[!a]", "[]", "sp  ace",
    "商店 👟", "item_id=zzz", "shopper_id=x", "catalogue=other", "price=3", "back\\slash", "#x?y",
]  # fmt: skip
ENDINGS = (".csv", ".jsonl", ".parquet")


def prepared(source: Path, output: Path) -> Report:
    return prepare_data_set("events", lambda connection: events.load(connection, source), output)


def write(folder: Path, ending: str, title: str) -> None:
    """Write a log of one purchase, and its catalogue."""
    folder.mkdir(parents=True)
    for name, line in (
        ("events", {"shopper_id": "s", "type": "purchase", "item_id": "i"}),
        ("items", {"item_id": "i", "title": title}),
    ):
        file = folder / f"{name}{ending}"
        table = pl.DataFrame([line])
        writers = {".csv": table.write_csv, ".jsonl": table.write_ndjson, ".parquet": table.write_parquet}
        with file.open("wb") as opened:
            writers[ending](opened)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ending"),
    [
        *((name, ending) for name in ("shop [2024]", "type=view") for ending in ENDINGS),
        *zip(NAMES, cycle(ENDINGS), strict=False),
    ],
)
def test_a_path_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, ending: str) -> None:
    monkeypatch.chdir(tmp_path)
    for decoy in ("shop 2", "shop", "shopX", "other", "a", "b", "shop 0"):
        write(tmp_path / decoy, ending, "of another shop")
    write(Path(name), ending, "the shop's own")
    output = Path(name) / "out"
    report = prepared(Path(name), output)
    read = corpus.load_corpus(output)
    assert (report.kept, report.events_by_type, report.shoppers, report.items) == (1, {"purchase": 1}, 1, 1)
    assert [(item.item_id, item.catalogue, item.title) for item in read.items] == [("i", "products", "the shop's own")]
    assert read.shopper_ids == ["s"]


def test_a_name_that_no_pattern_matches_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a\\[b]", ".csv", "x")
    with pytest.raises(TrainingError, match="rename it"):
        prepared(tmp_path / "a\\[b]", tmp_path / "out")


def test_files_are_read_by_one_module(tmp_path: Path) -> None:
    """Every option is pinned in `readers`: no other module calls a reader of DuckDB or Polars."""
    roots = ("features", "training", "export", "reporting", "server")
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for root in roots
        for path in (ROOT / root).rglob("*.py")
        if path.name != "readers.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if READ_BY_NAME.search(line) and "readers." not in line
    }
    assert not found


def test_a_reader_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no file"):
        readers.read_parquet(tmp_path)


def test_the_engine_spills_into_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a'b [c]=*"
    folder.mkdir()
    with open_engine(folder) as connection:
        assert fetch_one(connection, "SELECT current_setting('temp_directory')") == (str(folder),)
