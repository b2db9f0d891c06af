"""Outcomes of traits: the labels at the end of a log, as a file."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support import tiny_data

from portrait.training.errors import TrainingError
from portrait.training.traits.outcomes import COLUMNS, write_outcomes

TRAIT = """
[[trait]]
name = "buys"
horizon_days = {days}
label = "SELECT shopper_id, shopper_id IN (SELECT shopper_id FROM future WHERE type = 'view') AS label FROM shoppers"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write(tmp_path_factory.mktemp("outcomes") / "data", shoppers=20)


def test_every_shopper_of_the_moment_has_a_row(data: Path, tmp_path: Path) -> None:
    file, output = tmp_path / "traits.toml", tmp_path / "outcomes.csv"
    file.write_text(TRAIT.format(days=5), encoding="utf-8")
    end = datetime(2026, 1, 25, tzinfo=UTC)
    [count] = write_outcomes(data, file, output, end, lambda _: None)
    with output.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    assert tuple(header) == COLUMNS
    assert (count.as_of, count.shoppers) == (end - timedelta(days=5), len(rows))
    assert {(row[0], row[2]) for row in rows} == {("buys", "2026-01-20T00:00:00+00:00")}
    assert sum(row[3] == "1" for row in rows) == count.positives
    assert len({row[1] for row in rows}) == len(rows) > 0


def test_a_horizon_that_the_log_does_not_hold_is_refused(data: Path, tmp_path: Path) -> None:
    file, output = tmp_path / "traits.toml", tmp_path / "outcomes.csv"
    file.write_text(TRAIT.format(days=900), encoding="utf-8")
    with pytest.raises(TrainingError, match="must begin within the log"):
        write_outcomes(data, file, output, None, lambda _: None)
    assert not output.exists()
