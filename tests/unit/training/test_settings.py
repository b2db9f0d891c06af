"""Settings: each number keeps to its range, and what does not is told by its name and the range."""

import dataclasses
import json
import math
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.training.enums import FineTuning, Preset
from portrait.training.errors import TrainingError
from portrait.training.ranges import RANGES, Range, require_in_range
from portrait.training.run.study import suggest_settings
from portrait.training.settings import TrainSettings

NUMBERS = {
    field.name: type(field.default)
    for field in dataclasses.fields(TrainSettings)
    if type(field.default) in (int, float)
}


def _within(name: str) -> st.SearchStrategy[float]:
    low, high = RANGES[name].low, RANGES[name].high
    return st.integers(math.ceil(low), math.floor(high)) if NUMBERS[name] is int else st.floats(low, high)


def _outside(name: str) -> st.SearchStrategy[float]:
    low, high = RANGES[name].low, RANGES[name].high
    if NUMBERS[name] is int:
        return st.integers(max_value=math.ceil(low) - 1) | st.integers(min_value=math.floor(high) + 1)
    wrong = st.floats(max_value=low, exclude_max=True) | st.floats(min_value=high, exclude_min=True)
    return wrong | st.sampled_from([math.nan, math.inf, -math.inf, 10**400])


def test_every_number_has_a_range() -> None:
    assert set(NUMBERS) <= set(RANGES)


@given(st.sampled_from(sorted(NUMBERS)).flatmap(lambda name: st.tuples(st.just(name), _outside(name))))
def test_a_number_out_of_its_range_is_told_by_name_and_limit(wrong: tuple[str, float]) -> None:
    name, value = wrong
    with pytest.raises(TrainingError) as told:
        TrainSettings.from_preset(Preset.QUICK, **{name: value})
    assert str(told.value) == f"the setting {name!r} must be from {RANGES[name]}, not {value!r}"


@given(
    st.sampled_from(sorted(NUMBERS.keys() - {"dimension", "subspaces", "heads"})).flatmap(
        lambda name: st.tuples(st.just(name), _within(name))
    )
)
def test_a_number_within_its_range_is_kept(right: tuple[str, float]) -> None:
    name, value = right
    assert getattr(TrainSettings.from_preset(Preset.QUICK, **{name: value}), name) == value


@pytest.mark.parametrize(
    "name", ["dropout", "learning_rate", "seed", "subspaces", "batch_events", "gradient_accumulation"]
)
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "1e999"])
def test_a_settings_file_is_held_to_the_same_ranges(tmp_path: Path, name: str, value: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(f'{{"{name}": {value}}}', encoding="utf-8")
    with pytest.raises(TrainingError, match=f"'{name}'"):
        TrainSettings.from_preset(Preset.QUICK, **TrainSettings.read_overrides(path))
    # Neither does a run go on with such settings.
    TrainSettings().write(path)
    usual = f'"{name}": {json.dumps(getattr(TrainSettings(), name))}'
    path.write_text(path.read_text(encoding="utf-8").replace(usual, f'"{name}": {value}'), encoding="utf-8")
    with pytest.raises(TrainingError, match=f"'{name}'"):
        TrainSettings.read(path)


@pytest.mark.parametrize("name", ["trials", "minutes", "seed"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, 10**400])
def test_options_of_a_study_have_ranges(name: str, value: float) -> None:
    with pytest.raises(TrainingError, match=f"'{name}' must be from"):
        require_in_range({name: value})


@pytest.mark.parametrize("tuning", list(FineTuning))
def test_what_a_study_tries_is_within_the_ranges(tuning: FineTuning) -> None:
    trial = optuna.create_study().ask()
    suggest_settings(trial, tuning)
    for name, searched in trial.distributions.items():
        for value in getattr(searched, "choices", None) or (searched.low, searched.high):  # type: ignore[attr-defined]
            assert value in RANGES[name], name


def test_a_range_says_its_limits() -> None:
    assert str(Range(1e-9, 2**31 - 1)) == "1e-09 to 2147483647"


def test_a_base_model_in_a_folder_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "bert").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in ("models/bert", "./models/bert/", str(tmp_path / "models" / "bert")):
        assert TrainSettings.from_preset(Preset.QUICK, base_model=name).base_model == str(tmp_path / "models" / "bert")
    assert TrainSettings.from_preset(Preset.QUICK, base_model="bert-base-chinese").base_model == "bert-base-chinese"
    assert TrainSettings.from_preset(Preset.QUICK).base_model == TrainSettings().base_model
