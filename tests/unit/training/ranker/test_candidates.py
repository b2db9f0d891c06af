"""Candidates of the ranker's targets: what serving would show, the rest of the moment, and a weighted sample."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from support import tiny_data

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.item_statistics import RECENT_HALF_LIVES_DAYS
from portrait.features.candidates.relations import RELATIONS
from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.dataset.splits import Holdout, hold_out
from portrait.training.encoders.retrieval import TargetVectors, find_masked_items
from portrait.training.enums import Split
from portrait.training.ranker import candidates as module
from portrait.training.ranker.candidates import CandidateBuilder, Candidates
from portrait.training.ranker.item_index import ItemIndex
from portrait.training.ranker.item_statistics import RecentPopularity, compute_item_statistics
from portrait.training.ranker.relations import fit_relations
from portrait.training.ranker.targets import choose_ranker_targets, list_moment_items
from portrait.training.settings import TrainSettings

COLD = [2, 30]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=24, events=30))


@pytest.fixture(scope="module")
def holdout(corpus: Corpus) -> Holdout:
    return hold_out(corpus, Split.LOO)


@pytest.fixture(autouse=True)
def small_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few that the small catalogue has more."""
    for name, count in (("NEAREST", 4), ("COLD", 1), ("FAMILIAR", 3), ("POPULAR", 3), ("WORD", 3)):
        monkeypatch.setattr(module, f"{name}_CANDIDATES", count)
    monkeypatch.setattr(module, "RELATED_CANDIDATES", dict.fromkeys(RELATIONS, 2))
    monkeypatch.setattr(module, "RELATED_CANDIDATES_OF_SEARCH", dict.fromkeys(RELATIONS, 1))
    monkeypatch.setattr(module, "UNIFORM_ITEMS", 8)


def unit(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    made = random.normal(size=(count, 8)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def build(corpus: Corpus, holdout: Holdout, as_of_targets: NDArray[np.int64] | None = None) -> Candidates:
    """Candidates of the ranker's targets, with random vectors, and two items that are treated as cold."""
    random, items = np.random.default_rng(0), len(corpus.items)
    learnt = holdout.learnt(corpus)
    is_cold = np.isin(np.arange(items), COLD)
    neighbours = ColdStartNeighbours.of_known_items(np.arange(items))
    neighbours.rows[COLD, 0] = 5
    index = ItemIndex(unit(random, items), compute_item_statistics(corpus, learnt), is_cold, neighbours)
    targets = choose_ranker_targets(corpus, holdout, seed=0).events
    vectors = TargetVectors(index.vectors, unit(random, len(targets)), targets)
    relations = fit_relations(corpus, learnt, TrainSettings())
    builder = CandidateBuilder(corpus, holdout, index, relations, as_of_targets)
    return builder.build(vectors, unit(random, len(corpus.texts)), random)


@pytest.fixture
def built(corpus: Corpus, holdout: Holdout) -> Candidates:
    return build(corpus, holdout)


@pytest.fixture(scope="module")
def targets(corpus: Corpus, holdout: Holdout) -> list[int]:
    return choose_ranker_targets(corpus, holdout, seed=0).events.tolist()


def test_each_row_holds_the_items_of_the_moment_and_stands_for_the_whole_catalogue(
    corpus: Corpus, built: Candidates, targets: list[int]
) -> None:
    for row, target in enumerate(targets):
        present = built.items[row] >= 0
        items = built.items[row][present].tolist()
        assert len(set(items)) == len(items)
        together = built.items[row][built.together[row]]
        assert sorted(together.tolist()) == list_moment_items(corpus, target).tolist()
        assert built.items[row][built.label[row]].tolist() == [corpus.event_item[target]]
        assert built.weight[row].sum() == pytest.approx(len(corpus.items))
        assert (built.weight[row][built.shown[row] | built.together[row]] == 1.0).all()
        assert not built.weight[row][~present].any()
        assert not (built.shown[row] | built.together[row])[~present].any()
        assert not built.features[row][~present].any()


def test_a_target_is_known_as_a_purchase_and_by_the_search_before_it(
    corpus: Corpus, built: Candidates, targets: list[int]
) -> None:
    bought = EVENT_TYPE_CODES[EventType.PURCHASE]
    has_query = CANDIDATE_FEATURES.index("has_query")
    assert built.bought.tolist() == [corpus.columns.type_code[target] == bought for target in targets]
    assert (built.query >= 0).any()
    for row, target in enumerate(targets):
        before = int(corpus.context_end[target]) - 1
        asked = corpus.event_item[before] == NO_ITEM
        assert built.query[row] == (corpus.event_text[before] if asked else -1)
        assert (built.features[row][built.items[row] >= 0][:, has_query] == asked).all()


def test_items_that_were_seen_are_not_shown_where_they_are_masked(
    corpus: Corpus, holdout: Holdout, targets: list[int]
) -> None:
    seen = dict(enumerate(find_masked_items(corpus, target) for target in targets))
    for mask_seen in (False, True):
        built = build(corpus, dataclasses.replace(holdout, mask_seen=mask_seen))
        shown = [np.isin(seen[row], built.items[row][built.shown[row]]).any() for row in seen]
        assert any(shown) != mask_seen


def test_behaviour_leads_to_no_item_that_is_treated_as_cold(corpus: Corpus, holdout: Holdout) -> None:
    built = build(corpus, holdout)
    # The only one of the two that a row may show is the cold item nearest to the profile, or a familiar one.
    nearest = [np.isin(COLD, built.items[row][built.shown[row]]).sum() for row in range(len(built.items))]
    assert min(nearest) == 1
    known = [np.isin(COLD, corpus.event_item[corpus.event_shopper == shopper]).any() for shopper in range(24)]
    for row, target in enumerate(choose_ranker_targets(corpus, holdout, seed=0).events.tolist()):
        assert nearest[row] == 1 or known[corpus.event_shopper[target]]


def test_popularity_of_late_is_read_as_of_each_target(corpus: Corpus, holdout: Holdout, targets: list[int]) -> None:
    learnt = holdout.learnt(corpus)
    built = build(corpus, holdout, as_of_targets=learnt)
    columns = [CANDIDATE_FEATURES.index(f"popularity_{days:g}d") for days in RECENT_HALF_LIVES_DAYS]
    for row, target in enumerate(targets):
        popularity = RecentPopularity(corpus, learnt)
        popularity.advance(float(corpus.columns.time[target]))
        known = (built.items[row] >= 0) & ~np.isin(built.items[row], COLD)
        expected = popularity.scale(built.items[row][known])
        assert built.features[row][known][:, columns] == pytest.approx(expected, abs=1e-5)
        cold = np.isin(built.items[row], COLD)
        lent = np.repeat(popularity.scale(np.array([5])), cold.sum(), axis=0)
        assert built.features[row][cold][:, columns] == pytest.approx(lent, abs=1e-5)
