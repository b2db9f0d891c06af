"""Departed shoppers: counted by their events, and refused where they can't be told."""

from pathlib import Path

import polars as pl
import pytest
from support import tiny_data

from portrait.training.dataset.data_set import DataSet
from portrait.training.errors import TrainingError
from portrait.training.run.unlearning import Departed, count_departed


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return DataSet(tiny_data.write(tmp_path_factory.mktemp("before"), shoppers=10), "before", {})


def _keep(before: DataSet, folder: Path, kept: pl.Expr, **report: object) -> DataSet:
    pl.read_parquet(before.folder / "events.parquet").filter(kept).write_parquet(folder / "events.parquet")
    return DataSet(folder, "after", report)


def test_shoppers_count_who_left_whole_or_in_part(before: DataSet, tmp_path: Path) -> None:
    whole, returned = pl.col("shopper_id") == "s001", pl.col("shopper_id") == "s004"
    after = _keep(before, tmp_path, ~whole & (~returned | (pl.col("sequence") >= 10)))
    assert count_departed(before, after) == Departed(shoppers=2, events=24 + 10)


def test_a_data_set_that_lacks_nothing_is_refused(before: DataSet, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing to unlearn"):
        count_departed(before, _keep(before, tmp_path, pl.lit(True)))


def test_other_pseudonyms_are_refused(before: DataSet, tmp_path: Path) -> None:
    after = _keep(before, tmp_path, pl.col("shopper_id") != "s001", pseudonym_key="2026-11")
    with pytest.raises(TrainingError, match="key '2026-11'"):
        count_departed(before, after)
