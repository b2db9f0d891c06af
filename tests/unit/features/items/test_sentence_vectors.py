"""Sentence vectors of items: which words count, and how much."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.events import Item
from portrait.features.items.sentence_vectors import average_fields, list_fields


@pytest.mark.parametrize(
    ("item", "fields"),
    [
        (
            Item(
                "1",
                " Track  a parcel ",
                category_path=("Orders", "Delivery"),
                brand="Acme",
                attributes={"b": "2", "a": "1"},
            ),
            ["Track a parcel", "Orders, Delivery", "Acme, 1, 2"],
        ),
        (Item("2", "Gift card"), ["Gift card"]),
        (Item("3", "", attributes={"answer": "Ask us"}), ["Ask us"]),
        (Item("4", ""), []),
    ],
)
def test_title_path_and_all_else_are_fields(item: Item, fields: list[str]) -> None:
    assert list_fields(item) == fields


@given(st.lists(st.integers(0, 4), max_size=8))
def test_an_item_is_the_direction_of_its_fields_mean(counts: list[int]) -> None:
    random = np.random.default_rng(len(counts))
    fields = random.normal(size=(sum(counts), 5)).astype(np.float32)
    fields /= np.linalg.norm(fields, axis=1, keepdims=True)
    vectors, end = average_fields(fields, counts), np.cumsum(counts)
    assert vectors.shape == (len(counts), 5)
    for place, count in enumerate(counts):
        own = fields[end[place] - count : end[place]]
        mean = own.mean(0) if count else np.zeros(5)
        expected = mean / np.linalg.norm(mean) if count else mean
        np.testing.assert_allclose(vectors[place], expected, atol=1e-5)
