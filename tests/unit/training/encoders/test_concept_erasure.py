"""Concept erasure: after it, no linear probe predicts what shoppers declared; and what can't be erased is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny_data
from typer.testing import CliRunner

from portrait.training import commands
from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.encoders import concept_erasure
from portrait.training.encoders.concept_erasure import MIN_SHOPPERS, UNDECLARED
from portrait.training.encoders.subspaces import normalise_subspaces
from portrait.training.enums import Demographic, Preset
from portrait.training.errors import TrainingError
from portrait.training.settings import TrainSettings

pytestmark = pytest.mark.slow


def _profiles(
    shoppers: int, dimension: int, subspaces: int, kinds: list[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors that tell each attribute, which a tenth of the shoppers did not declare."""
    random = np.random.default_rng(seed)
    values = np.stack([random.integers(0, kind, shoppers) for kind in kinds])
    told = [2.0 * random.normal(size=(kind, dimension))[row] for kind, row in zip(kinds, values, strict=True)]
    mixed = random.normal(size=(shoppers, dimension)) @ random.normal(size=(dimension, dimension)) / dimension**0.5
    profiles = normalise_subspaces(torch.from_numpy(mixed + np.sum(told, 0) + random.normal(size=dimension)), subspaces)
    values[random.random(values.shape) < 0.1] = UNDECLARED
    return profiles.float().numpy(), values


def _apart(profiles: np.ndarray, values: np.ndarray) -> float:
    """Largest distance of a value's mean profile from that of all who declared the attribute."""
    return max(
        float(np.linalg.norm(profiles[row == value].mean(0) - profiles[row != UNDECLARED].mean(0)))
        for row in values
        for value in np.unique(row[row != UNDECLARED])
    )


def _least_squares_accuracy(profiles: np.ndarray, row: np.ndarray) -> tuple[float, float]:
    """Accuracy of the best linear regression on the values, on the very shoppers that it is fitted on; and majority."""
    known = row != UNDECLARED
    inputs = np.hstack([profiles[known], np.ones((known.sum(), 1))])
    targets = np.eye(row.max() + 1)[row[known]]
    weights = np.linalg.lstsq(inputs, targets, rcond=1e-4)[0]
    return float(((inputs @ weights).argmax(1) == row[known]).mean()), float(targets.mean(0).max())


@given(st.integers(1, 2), st.lists(st.integers(2, 4), min_size=1, max_size=2), st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_all_values_have_one_mean_and_towers_one_length(subspaces: int, kinds: list[int], seed: int) -> None:
    profiles, values = _profiles(400, 24, subspaces, kinds, seed)
    erased = concept_erasure.fit_eraser(profiles, values, subspaces)(torch.from_numpy(profiles)).numpy()
    assert _apart(profiles, values) > 0.05
    assert _apart(erased, values) < 1e-3
    lengths = (erased.reshape(len(erased), subspaces, -1) ** 2).sum(-1)
    assert np.allclose(lengths, 1.0 / subspaces, atol=1e-5)


def test_a_linear_probe_falls_to_the_majority() -> None:
    profiles, values = _profiles(2000, 32, 1, [2, 5], seed=0)
    erased = concept_erasure.fit_eraser(profiles, values, 1)(torch.from_numpy(profiles)).numpy()
    for row in values:
        before, _ = _least_squares_accuracy(profiles, row)
        after, majority = _least_squares_accuracy(erased, row)
        assert before > 0.8
        assert after == pytest.approx(majority, abs=0.01)


def test_it_holds_for_shoppers_who_declared_nothing_and_leaves_the_rest_of_a_profile() -> None:
    profiles, values = _profiles(4000, 32, 1, [2], seed=1)
    concealment = concept_erasure.fit_eraser(profiles[:2000], values[:, :2000], 1)
    others = concealment(torch.from_numpy(profiles[2000:])).numpy()
    assert _apart(others, values[:, 2000:]) < 0.1 * _apart(profiles[2000:], values[:, 2000:])
    # What differs from shopper to shopper within a value stays: neighbours stay neighbours.
    first = profiles[2000:][values[0, 2000:] == 0]
    kept = others[values[0, 2000:] == 0]
    assert np.corrcoef((first @ first.T).ravel(), (kept @ kept.T).ravel())[0, 1] > 0.9


def test_more_values_than_dimensions_are_refused() -> None:
    profiles, values = _profiles(200, 8, 2, [2, 3], seed=2)
    with pytest.raises(TrainingError, match="5 declared values can't be erased in subspaces of 4 dimensions"):
        concept_erasure.fit_eraser(profiles, values, 2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=2 * MIN_SHOPPERS + 1, events=4)
    rows = [
        {
            "shopper_id": f"s{row:03}",
            "gender": "ab"[row % 2],
            "age_band": "old" if row < MIN_SHOPPERS - 1 else "young",
        }
        for row in range(2 * MIN_SHOPPERS)
    ]
    pl.DataFrame(rows).sample(fraction=1.0, shuffle=True, seed=0).write_parquet(folder / "shoppers.parquet")
    return folder


@pytest.fixture(scope="module")
def corpus(data: Path) -> Corpus:
    return load_corpus(data)


def test_declared_values_stand_beside_their_shoppers(data: Path, corpus: Corpus) -> None:
    (gender,) = concept_erasure.read_declared_values(data, corpus, (Demographic.GENDER,))
    for shopper, value in zip(corpus.shopper_ids, gender, strict=True):
        row = int(shopper[1:])
        assert value == (row % 2 if row < 2 * MIN_SHOPPERS else UNDECLARED)


def test_a_value_that_few_declared_is_not_concealed(data: Path, corpus: Corpus) -> None:
    with pytest.raises(TrainingError, match=rf"age_band .* by {MIN_SHOPPERS} shoppers each, and .* holds 1 such"):
        concept_erasure.read_declared_values(data, corpus, (Demographic.GENDER, Demographic.AGE_BAND))


def test_an_attribute_that_the_data_set_lacks_is_refused(data: Path, corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="does not say what shoppers declared"):
        concept_erasure.read_declared_values(data, corpus, (Demographic.REGION,))
    with pytest.raises(TrainingError, match="does not say what shoppers declared"):
        concept_erasure.read_declared_values(tmp_path, corpus, (Demographic.GENDER,))


def test_settings_keep_what_is_concealed(tmp_path: Path) -> None:
    chosen = TrainSettings.from_preset(Preset.QUICK, erase=(Demographic.GENDER, Demographic.AGE_BAND))
    chosen.write(tmp_path / "settings.json")
    assert TrainSettings.read(tmp_path / "settings.json") == chosen
    assert TrainSettings.read_overrides(tmp_path / "settings.json")["erase"] == chosen.erase


@pytest.mark.parametrize("names", ["income", "gender,", "gender age_band"])
def test_a_wrong_name_is_told_in_one_line(tmp_path: Path, names: str) -> None:
    app = typer.Typer()
    app.command()(commands.train)
    ended = CliRunner().invoke(app, [str(tmp_path), str(tmp_path / "run"), "--erase", names])
    assert ended.exit_code == 2
    assert "there are age_band, gender, region" in ended.stderr.replace("\n", " ")
    assert not (tmp_path / "run").exists()
