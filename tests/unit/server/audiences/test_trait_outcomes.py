"""Outcomes of traits as a file, and what was found of them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from portrait.server.audiences import trait_outcomes
from portrait.server.audiences.trait_calibration import TraitCalibration, read_calibrations, write_calibrations
from portrait.server.audiences.trait_outcomes import OutcomesError, read_outcomes

HEADER = "trait,shopper_id,as_of,value\n"
AS_OF = "2026-03-01T00:00:00+00:00"


def write(folder: Path, content: str) -> Path:
    file = folder / "outcomes.csv"
    file.write_text(content, encoding="utf-8")
    return file


def test_a_sample_of_each_trait_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trait_outcomes, "MAX_SHOPPERS", 100)
    rows = [f'buys,"s,{nth}",{AS_OF},{int(nth % 4 == 0)}\n' for nth in range(1000)]
    file = write(tmp_path, HEADER + "".join(rows) + f"lapses,s,{AS_OF},1\n")
    found = read_outcomes(file)
    assert found == read_outcomes(file)
    assert (found["lapses"].sample, found["lapses"].as_of) == ([("s", True)], datetime(2026, 3, 1, tzinfo=UTC))
    sample = found["buys"].sample
    assert (found["buys"].count, len({shopper for shopper, _ in sample})) == (1000, 100)
    assert all(came_true == (int(shopper[2:]) % 4 == 0) for shopper, came_true in sample)
    assert np.mean([int(shopper[2:]) for shopper, _ in sample]) == pytest.approx(500, abs=100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no outcome"),
        (HEADER, "holds no outcome"),
        ("shopper_id,value\n", "line 1: the columns must be trait, shopper_id, as_of, value"),
        (HEADER + "buys,s,1\n", "line 2: has 3 fields"),
        (HEADER + f"buys,s,{AS_OF},0.5\n", "line 2: value: must be 0 or 1"),
        (HEADER + "buys,s,soon,1\n", "line 2: as_of: 'soon' is no time"),
        (HEADER + f"buys,,{AS_OF},1\n", "line 2: trait and shopper_id must not be empty"),
        (HEADER + f"buys,s,{AS_OF},1\nbuys,t,2026-04-01T00:00:00Z,1\n", "line 3: as_of: trait buys has outcomes of"),
        (HEADER + 'buys,"s', "is no CSV file"),
    ],
)
def test_a_line_that_is_no_outcome_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(OutcomesError, match=message):
        read_outcomes(write(tmp_path, content))


def test_what_was_found_is_read_again(tmp_path: Path) -> None:
    assert read_calibrations(tmp_path) == []
    found = TraitCalibration.measure("buys", AS_OF, np.array([0.25, 0.5, 0.75]), np.array([False, False, True]))
    write_calibrations([found], tmp_path)
    assert read_calibrations(tmp_path) == [found]
    next(tmp_path.iterdir()).write_text('[{"trait": 1}]', encoding="utf-8")
    assert read_calibrations(tmp_path) == []
