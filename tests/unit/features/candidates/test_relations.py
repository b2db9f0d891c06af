"""Relations of a release: several matrices in one file, each read of a history on its own."""

from pathlib import Path

import numpy as np
import pytest

from portrait.features.candidates.associations import Associations
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
        led = found.by_name[name]
        expected = {place % 4: 0.05 * place, (2 + place) % 4: 0.1 * place}
        assert dict(zip(led.rows.tolist(), led.scores.tolist(), strict=True)) == pytest.approx(expected)
    assert found.association is found.by_name[ASSOCIATION]
    assert relations().association.items.tolist() == [1, 2, 3, 0]


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    relations().save(tmp_path / "relations.npz")
    loaded = Relations.load(tmp_path / "relations.npz")
    assert tuple(loaded.by_name) == RELATIONS
    for name, matrix in relations().by_name.items():
        assert loaded.by_name[name].decay == matrix.decay
        for part in ("starts", "items", "weights"):
            assert np.array_equal(getattr(loaded.by_name[name], part), getattr(matrix, part)), (name, part)
