"""The benchmark of category smoothing: the tree's shares are shares, and it wins where a tree is behind the events."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import tiny_data

from benchmarks.category_smoothing.category_tree import CategoryTree
from benchmarks.category_smoothing.cli import measure, measure_group
from benchmarks.category_smoothing.histories import Histories, collect_histories
from benchmarks.category_smoothing.models import FLAT_FITTED, Shop, fit_models
from benchmarks.common.errors import BenchmarkError
from portrait.features.candidates.associations import Associations
from portrait.features.population.interest_dynamics import InterestDecay
from portrait.features.population.population import InterestDynamics
from portrait.training.dataset.corpus import load_corpus
from portrait.training.population.taxonomy import Taxonomy

UNEVEN = [("a",), ("a", "b"), ("a", "c", "d"), ("e", "f", "g"), ("e", "f", "h")]
DEPARTMENTS, SHELVES, SHOPPERS = 4, 5, 200
EVEN = [(f"department {one}", f"shelf {two}") for one in range(DEPARTMENTS) for two in range(SHELVES)]
DECAY = InterestDecay(short=1.0, long=100.0, short_share=0.5, prior=8.0)


def make_taxonomy(paths: Sequence[tuple[str, ...]]) -> Taxonomy:
    return Taxonomy(list(paths), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def make_shop(paths: Sequence[tuple[str, ...]]) -> Shop:
    shares = np.full(len(paths), 1.0 / len(paths))
    return Shop(shares, CategoryTree.of(make_taxonomy(paths), shares), InterestDynamics(DECAY, DECAY, {}, None), DECAY)


def draw_histories(favourites: list[list[int]], seed: int) -> Histories:
    """Histories of two events, and ten that follow, of the categories that a shopper likes."""
    random = np.random.default_rng(seed)

    def count(events: int) -> NDArray[np.float64]:
        drawn = [np.bincount(random.choice(liked, events), minlength=len(EVEN)) for liked in favourites]
        return np.stack(drawn).astype(np.float64)

    before = count(2)
    return Histories(before, before, before > 0.0, count(10), np.zeros_like(before))


@given(
    st.lists(st.floats(0.0, 100.0), min_size=5, max_size=5),
    st.lists(st.floats(0.1, 100.0), min_size=5, max_size=5),
    st.lists(st.floats(0.1, 1000.0), min_size=3, max_size=3),
)
def test_shares_of_the_tree_sum_to_one(masses: list[float], weights: list[float], strengths: list[float]) -> None:
    shares = np.array(weights) / sum(weights)
    tree = CategoryTree.of(make_taxonomy(UNEVEN), shares)
    evidence = np.array([masses, [0.0] * 5])
    for found in (tree.expect_shares(evidence, strengths[:-1]), tree.multiply_shares(evidence, strengths)):
        assert found.sum(1) == pytest.approx(1.0)
        assert found[1] == pytest.approx(shares)  # nothing is known of the shopper


def test_an_event_raises_its_siblings_and_no_others() -> None:
    shop = make_shop(EVEN)
    evidence = np.zeros((1, len(EVEN)))
    evidence[0, 0] = 1.0
    [expected] = shop.tree.expect_shares(evidence, [4.0])
    siblings, others = expected[:SHELVES], expected[SHELVES:]
    # The department: (1 + 4 / 4) / (1 + 4), in five equal parts.
    assert siblings == pytest.approx(2.0 / 5 / 5)
    assert (others < shop.shares[0]).all()


def test_the_tree_wins_where_shoppers_like_departments_and_not_where_they_like_shelves() -> None:
    random = np.random.default_rng(0)
    departments = [
        list(range(one * SHELVES, (one + 1) * SHELVES)) for one in random.integers(DEPARTMENTS, size=SHOPPERS)
    ]
    shelves = [random.choice(len(EVEN), 3, replace=False).tolist() for _ in range(SHOPPERS)]
    shop, gained = make_shop(EVEN), []
    for favourites in (departments, shelves):
        models = fit_models(shop, [draw_histories(favourites, 1)])
        measured = measure_group(models, draw_histories(favourites, 2))
        assert measured is not None
        against_flat = measured["models"][FLAT_FITTED]
        gained.append((against_flat["log-likelihood"]["interval"], against_flat["recall@10 of new"]["interval"]))
    (likelihood, recall), (no_likelihood, _) = gained
    assert likelihood[0] > 0.3
    assert recall[0] > 0.3
    assert no_likelihood[0] < no_likelihood[1] < 0.05


def test_too_few_shoppers_are_not_measured() -> None:
    shop = make_shop(EVEN)
    few = draw_histories([[0, 1]] * 20, 0)
    assert measure_group(fit_models(shop, [few]), few) is None


def test_a_history_ends_before_what_follows_it(tmp_path: Path) -> None:
    corpus = load_corpus(tiny_data.write(tmp_path, shoppers=20))
    taxonomy, targets = Taxonomy.of(corpus), corpus.starts[1:] - 4
    nothing = np.zeros(len(corpus.items) + 1, dtype=np.int64)
    unrelated = Associations(nothing, np.empty(0, np.int32), np.empty(0, np.float32), 0.7)

    predicted = np.ones(len(corpus.event_item), dtype=bool)
    predicted[corpus.starts[1:] - 1] = False

    def count(events: range) -> NDArray[np.int64]:
        categories = taxonomy.of_event[events.start : events.stop]
        return np.bincount(categories[categories >= 0], minlength=len(taxonomy.paths))

    whole, cut = (
        collect_histories(corpus, taxonomy, unrelated, targets, predicted, DECAY, group, cut=cut)
        for group, cut in (("> 10", False), ("1–2", True))
    )
    events = list(zip(corpus.shopper_start[targets], corpus.context_end[targets], strict=True))
    assert (whole.held == np.stack([count(range(begin, end)) > 0 for begin, end in events])).all()
    assert (whole.following == np.stack([count(range(target, target + 3)) for target in targets])).all()
    assert (cut.held <= np.stack([count(range(end - 2, end)) > 0 for _, end in events])).all()
    assert (cut.following == whole.following).all()
    assert (cut.long <= whole.long + 1e-9).all()


def test_a_source_without_a_tree_is_refused(tmp_path: Path) -> None:
    items = tiny_data.write(tmp_path) / "items.parquet"
    pl.read_parquet(items).with_columns(pl.col("category_path").list.slice(1)).write_parquet(items)
    with pytest.raises(BenchmarkError, match="no category path of two levels"):
        measure(tmp_path)
