"""A data set that is read some histories at a time is the one that is read as a whole."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import tiny_data

from portrait.training.dataset import histories
from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.dataset.histories import HistoryReader


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of histories of different lengths, one of them long."""
    folder = tiny_data.write(tmp_path / "data", shoppers=30, events=20)
    events = pl.read_parquet(folder / "events.parquet")
    kept = (pl.col("shopper_id") == "s007") | (pl.col("sequence") < 1 + pl.col("shopper_id").str.slice(1).cast(int))
    events.filter(kept).write_parquet(folder / "events.parquet", row_group_size=50)
    return folder


def _require_same(one: Corpus, other: Corpus) -> None:
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
        elif name == "columns":
            for column, values in vars(value).items():
                np.testing.assert_array_equal(values, getattr(other.columns, column), err_msg=column)
        elif name != "price_scale":
            assert value == getattr(other, name), name


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_data_set_is_the_same_whatever_is_read_at_a_time(
    data: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_corpus(data)
    monkeypatch.setattr(histories, "PIECE_EVENTS", size)
    pieces = list(HistoryReader(data).read())
    assert len(pieces) > 5
    shoppers = [shopper for piece in pieces for shopper in piece["shopper_id"].unique(maintain_order=True)]
    assert shoppers == whole.shopper_ids, "no history is divided"
    _require_same(whole, load_corpus(data))
    assert (whole.event_search >= 0).any()


def test_an_unsorted_table_is_sorted(data: Path) -> None:
    whole = load_corpus(data)
    events = pl.read_parquet(data / "events.parquet")
    events.sample(fraction=1.0, shuffle=True, seed=0).write_parquet(data / "events.parquet")
    _require_same(whole, load_corpus(data))


def test_the_arrays_of_a_corpus_are_computed_for_those_who_get_a_copy(data: Path) -> None:
    corpus = load_corpus(data)
    before = set(vars(corpus))
    corpus.compute_all()
    assert set(vars(corpus)) - before == {
        "event_shopper", "shopper_start", "context_end", "has_context", "slot_start", "event_slot",
    }  # fmt: skip
