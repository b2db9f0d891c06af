"""One run on small data that all tests of export start from, and its graphs, each traced once."""

from pathlib import Path

import polars as pl
import pytest
from support import tiny_data
from support.shared_builds import build_once

from portrait.training.enums import Preset
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun
from portrait.training.settings import TrainSettings


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return runs.load_run(build_once(tmp_path_factory, "trained", _train) / "run")


def _train(folder: Path) -> None:
    bert = tiny_data.write_bert(folder / "bert")
    settings = TrainSettings.from_preset(
        Preset.QUICK, base_model=str(bert), dimension=16, max_epochs=1, batch_events=512
    )
    data = tiny_data.write(folder / "data", shoppers=130)
    declared = {"shopper_id": [f"s{shopper:03}" for shopper in range(130)]}
    declared["gender"] = ["<b>her</b>"] * 65 + ["him"] * 60 + ["few"] * 5
    pl.DataFrame(declared).with_columns(age_band=pl.lit(None, pl.String), region=pl.lit("one")).write_parquet(
        data / "shoppers.parquet"
    )
    runs.train_run(data, folder / "run", settings)


@pytest.fixture(scope="module", autouse=True)
def each_graph_is_traced_once(traced_graphs: None) -> None:
    """Have all tests of this folder share traced graphs."""
