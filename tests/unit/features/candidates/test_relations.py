"""Relations of a release: several matrices in one file, each read of a history on its own."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.relations import ASSOCIATION, RELATIONS, Relations


def relations() -> Relations:
    """By the relation number n each of four items leads to the one n places further, with weight 0.1 n."""
    return Relations(
        {
            name: Associations(
                np.arange(5), np.roll(np.arange(4, dtype=np.int32), -place), np.full(4, 0.1 * place, np.float32), 0.5
            )
            for place, name in enumerate(RELATIONS, start=1)
        }
    )


def test_a_history_is_read_by_each_relation() -> None:
    found = relations().score_history([0, 2], [1.0, 2.0])
    for place, name in enumerate(RELATIONS, start=1):
        led = found.of(name)
        expected = {place % 4: 0.05 * place, (2 + place) % 4: 0.1 * place}
        assert dict(zip(led.rows.tolist(), led.scores.tolist(), strict=True)) == pytest.approx(expected)
    assert found.association.rows.tolist() == found.of(ASSOCIATION).rows.tolist()
    assert relations().association.items.tolist() == [1, 2, 3, 0]


@given(
    st.lists(st.tuples(st.integers(-1, 5), st.sampled_from([1.0, 2.0, math.nan])), max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_all_are_read_at_once_as_each_is_read_alone(events: list[tuple[int, float]], seed: int) -> None:
    random = np.random.default_rng(seed)
    matrices = {}
    for place, name in enumerate(RELATIONS):
        starts = np.concatenate([[0], np.cumsum(random.integers(0, 4, 6))])
        matrices[name] = Associations(
            starts,
            random.integers(0, 6, starts[-1], dtype=np.int32),
            random.random(starts[-1], dtype=np.float32) + 0.1,
            0.3 + 0.1 * place,
        )
    rows, times = [row for row, _ in events], [time for _, time in events]
    found, every = Relations(matrices).score_history(rows, times), np.arange(6)
    told = found.average_scores(ColdStartNeighbours.of_known_items(every))
    for place, (name, matrix) in enumerate(matrices.items()):
        alone = matrix.score_history(rows, times)
        assert found.of(name).rows.tolist() == alone.rows.tolist()
        assert found.of(name).scores.tolist() == alone.scores.tolist()
        assert told[:, place].tolist() == alone.scores_of(every).tolist()


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    relations().save(tmp_path / "relations.npz")
    loaded = Relations.load(tmp_path / "relations.npz")
    assert tuple(loaded.by_name) == RELATIONS
    for name, matrix in relations().by_name.items():
        assert loaded.by_name[name].decay == matrix.decay
        for part in ("starts", "items", "weights"):
            assert np.array_equal(getattr(loaded.by_name[name], part), getattr(matrix, part)), (name, part)
