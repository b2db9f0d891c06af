"""A pseudonymous data set: no id of the log stands in anything that is made of it."""

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from support import tiny_data, tiny_log
from support.command_line import CommandResult, run_portrait

from portrait.training.prepare.pseudonyms import read_key

SECRET = "5e" * 32
MARK = "raw-id-of-the-shop-"
"""Begins every id of the log, and is long enough to stand nowhere by chance."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[CommandResult]]:
    """A folder with the log, the data set, the run and its report, and what each command printed."""
    folder = tmp_path_factory.mktemp("pseudonyms")
    log = tiny_log.write(folder / "log", shoppers=40)
    marked = [pl.concat_str(pl.lit(MARK), pl.col(column)).alias(column) for column in ("shopper_id", "event_id")]
    table = pl.read_csv(log / "events.csv").with_columns(marked)
    # One row is rejected: rejected rows are kept, for the operator to mend.
    table.with_columns(price=pl.when(pl.int_range(pl.len()) == 5).then(-1.0).otherwise("price")).write_csv(
        log / "events.csv"
    )
    keys = folder / "keys.toml"
    keys.write_text(f'current = "2026-11"\n[keys]\n2026-11 = "{SECRET}"\n', encoding="utf-8")
    settings = folder / "settings.json"
    settings.write_text('{"dimension": 16, "max_epochs": 1, "batch_events": 512}', encoding="utf-8")
    data, run = folder / "made" / "data", folder / "made" / "run"
    base_model = tiny_data.write_bert(folder / "bert")
    ended = [
        run_portrait(*command)
        for command in (
            ("prepare", log, data, "--pseudonymise", keys),
            ("train", data, run, "--base-model", base_model, "--settings", settings),
            ("report", run),
        )
    ]
    assert [each.code for each in ended] == [0, 0, 0], ended
    return folder, ended


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the content of each file, unpacked where it is compressed."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        yield name, name.encode() + file.read_bytes()
        if file.suffix == ".parquet":
            yield name, repr(pl.read_parquet(file).rows()).encode()
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                yield f"{name}/{member}", archive.read(member)


def test_no_id_of_the_log_stands_in_what_is_made_of_it(told: tuple[Path, list[CommandResult]]) -> None:
    folder, ended = told
    # The search finds the ids where they are, and the pseudonyms where they should be.
    assert MARK.encode() in b"".join(content for _, content in contents(folder / "log"))
    pseudonym = read_key(folder / "keys.toml").make_pseudonym(f"{MARK}s007").encode()
    found = {name for name, content in contents(folder / "made") if pseudonym in content}
    assert found == {"data/events.parquet", "data/shoppers.parquet"}
    searched = dict(contents(folder / "made"))
    assert {"data/rejected.parquet", "run/model.pt", "run/checkpoint.pt", "run/report.html"} <= searched.keys()
    assert any("tfevents" in name for name in searched)
    assert [name for name, content in contents(folder / "made") if MARK.encode() in content] == []
    assert [each for each in ended if MARK in each.stdout + each.stderr] == []


def test_the_secret_stands_nowhere_and_the_report_names_the_key(told: tuple[Path, list[CommandResult]]) -> None:
    folder, ended = told
    secrets = (SECRET.encode(), bytes.fromhex(SECRET))
    assert [name for name, content in contents(folder / "made") if any(each in content for each in secrets)] == []
    assert [each for each in ended if SECRET in each.stdout + each.stderr] == []
    report = json.loads((folder / "made" / "data" / "report.json").read_text(encoding="utf-8"))
    assert report["pseudonym_key"] == "2026-11"
    assert len(pl.read_parquet(folder / "made" / "data" / "rejected.parquet")) == 1
