"""The file of pairs comes back as it was written, and a file that is none is refused by the line."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.candidates.item_pairs import ItemPair, ItemPairs, PairKind, write_item_pairs

IDS = ["lamp", 'a "quoted, item"', "two\nlines", "台灯", " "]
ROWS = {item_id: row for row, item_id in enumerate(IDS)}
counts = st.integers(0, 2**31 - 1)
bounds = st.floats(-99.0, 99.0).map(lambda bound: float(f"{bound:.6g}"))
pairs = st.builds(
    ItemPair, st.sampled_from(PairKind), st.sampled_from(IDS), st.sampled_from(IDS), counts, counts, counts, counts,
    counts, counts, bounds, bounds,
).filter(lambda pair: pair.item_id != pair.other_item_id)  # fmt: skip


def find_row(item_id: str) -> int:
    return ROWS.get(item_id, -1)


@given(st.lists(pairs, max_size=30))
def test_pairs_come_back_by_item_the_surest_first(
    tmp_path_factory: pytest.TempPathFactory, given: list[ItemPair]
) -> None:
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    write_item_pairs(given, path)
    read = ItemPairs.read(path, find_row)
    back = []
    for kind in PairKind:
        for row, item_id in enumerate(IDS):
            found = read.find(kind, row)
            assert (found["lower_bound"][1:] <= found["lower_bound"][:-1]).all()
            back += [ItemPair(kind, item_id, IDS[each[1]], *each[2:]) for each in found.tolist()]
    assert Counter(back) == Counter(given)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("complement,lamp,none,1,1,1,1,1,1,1,1", "record 2 is no pair of items: it does not name two items"),
        ("complement,lamp,lamp,1,1,1,1,1,1,1,1", "does not name two items"),
        ("enemy,lamp,台灯,1,1,1,1,1,1,1,1", "enemy"),
        ("complement,lamp,台灯,1,1,1,1,1,1,1,inf", "finite"),
        ("complement,lamp,台灯,1,1,1,1,1,1,1", "finite"),
        ("complement,lamp,台灯,-1,1,1,1,1,1,1,1", "negative"),
        ("complement,lamp,台灯,2147483648,1,1,1,1,1,1,1", "too large"),
        ("complement,lamp", "record 2 is no pair"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "pairs.csv"
    write_item_pairs((), path)
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        ItemPairs.read(path, find_row)


def test_a_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("a,b\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not name the columns kind, item_id"):
        ItemPairs.read(path, find_row)
