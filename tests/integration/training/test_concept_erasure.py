"""A run that conceals: train only and refit conceal alike, a loaded run too, and the exported graph with it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import tiny_data

from portrait.export import parity
from portrait.export.graphs import export, graphs
from portrait.export.precision import Precision
from portrait.training.encoders import concept_erasure
from portrait.training.enums import Demographic, Preset
from portrait.training.run import run as runs
from portrait.training.run.evaluation import rank_test_targets
from portrait.training.run.folder import TRAIN_ONLY_FOLDER
from portrait.training.run.run import TrainedRun
from portrait.training.settings import TrainSettings

GENDER = (Demographic.GENDER,)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shoppers who declare what their histories tell: which pair of categories they stay with."""
    folder = tiny_data.write(tmp_path_factory.mktemp("data"))
    rows = [{"shopper_id": f"s{row:03}", "gender": "ab"[row % 4 // 2] if row else None} for row in range(60)]
    pl.DataFrame(rows).write_parquet(folder / "shoppers.parquet")
    return folder


@pytest.fixture(scope="module")
def refit(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    folder = tmp_path_factory.mktemp("runs")
    settings = TrainSettings.from_preset(
        Preset.QUICK, base_model=str(tiny_data.write_bert(folder / "bert")), dimension=32, subspaces=2, refit=True,
        max_epochs=2, batch_events=256, erase=GENDER,
    )  # fmt: skip
    runs.train_run(data, folder / "run", settings)
    return runs.load_run(folder / "run")


def _apart(trained: TrainedRun, data: Path) -> float:
    """Distance between the mean profiles of the two genders, over the profiles that concept erasure learnt from."""
    vectors = concept_erasure.sample_profiles(trained.model, trained.cache, trained.corpus, trained.holdout)
    (values,) = concept_erasure.read_declared_values(data, trained.corpus, GENDER)[
        :, trained.corpus.event_shopper[vectors.targets]
    ]
    means = [vectors.profiles[values == value].mean(0) for value in (0, 1)]
    return float(np.linalg.norm(means[0] - means[1]))


def test_both_runs_of_a_refit_conceal_and_go_on_ranking(refit: TrainedRun, data: Path) -> None:
    first = runs.load_run(refit.folder / TRAIN_ONLY_FOLDER)
    for trained in (first, refit):
        assert _apart(trained, data) < 1e-3
        assert rank_test_targets(trained).items[:, 0].min() >= 0
        trained.model.profile.eraser, kept = None, trained.model.profile.eraser
        assert _apart(trained, data) > 0.1
        trained.model.profile.eraser = kept


@pytest.mark.parametrize("precision", list(Precision))
def test_the_exported_graph_conceals(refit: TrainedRun, tmp_path: Path, precision: Precision) -> None:
    (graph,) = (graph for graph in graphs(refit) if graph.name == "profile_encoder")
    export(graph, refit.settings.dimension, precision, tmp_path / "model.onnx")
    parity.require([parity.check_runtime(graph, tmp_path / "model.onnx", refit.settings.dimension, precision)])
    refit.model.profile.eraser, kept = None, refit.model.profile.eraser
    without = parity.check_runtime(graph, tmp_path / "model.onnx", refit.settings.dimension, precision)
    refit.model.profile.eraser = kept
    assert not without.holds
