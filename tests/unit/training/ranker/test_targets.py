"""Targets of the ranker: the last moments of all shoppers, few of each, and nothing else learns from them."""

import numpy as np
import pytest
from support import tiny_data

from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.dataset.splits import Holdout, hold_out
from portrait.training.enums import Split
from portrait.training.ranker import targets as ranker_targets
from portrait.training.ranker.targets import MAX_TARGETS_PER_SHOPPER, choose_ranker_targets, list_moment_items


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=12, events=90))


@pytest.fixture(scope="module")
def holdout(corpus: Corpus) -> Holdout:
    return hold_out(corpus, Split.LOO)


def moments_of(corpus: Corpus, events: np.ndarray, shopper: int) -> list[int]:
    own = events[corpus.event_shopper[events] == shopper]
    return sorted(set(corpus.context_end[own].tolist()))


def test_each_shopper_gives_the_last_tenth_of_the_moments(corpus: Corpus, holdout: Holdout) -> None:
    chosen = choose_ranker_targets(corpus, holdout, seed=0)
    usable = np.flatnonzero(holdout.train & (corpus.event_item != NO_ITEM) & corpus.has_context)
    for shopper in range(len(corpus.shopper_ids)):
        every = moments_of(corpus, usable, shopper)
        count = min(max(1, len(every) // 10), MAX_TARGETS_PER_SHOPPER)
        assert moments_of(corpus, chosen.events, shopper) == every[-count:]
        assert moments_of(corpus, chosen.held_out, shopper) == every[-count:]
    assert MAX_TARGETS_PER_SHOPPER in np.bincount(corpus.event_shopper[chosen.events])


def test_a_moment_is_one_target_and_all_its_events_are_held_out(corpus: Corpus, holdout: Holdout) -> None:
    chosen = choose_ranker_targets(corpus, holdout, seed=0)
    assert len(np.unique(corpus.context_end[chosen.events])) == len(chosen.events)
    assert (np.diff(chosen.events) > 0).all()
    assert np.isin(chosen.events, chosen.held_out).all()
    usable = np.flatnonzero(holdout.train & (corpus.event_item != NO_ITEM))
    same = usable[np.isin(corpus.context_end[usable], corpus.context_end[chosen.events])]
    assert chosen.held_out.tolist() == same.tolist()
    assert len(chosen.held_out) > len(chosen.events)


def test_too_many_targets_are_those_of_some_shoppers(
    corpus: Corpus, holdout: Holdout, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = choose_ranker_targets(corpus, holdout, seed=0)
    monkeypatch.setattr(ranker_targets, "MAX_RANKER_TARGETS", 20)
    some = choose_ranker_targets(corpus, holdout, seed=0)
    assert 0 < len(some.events) <= 20
    for shopper in np.unique(corpus.event_shopper[some.events]).tolist():
        assert moments_of(corpus, some.events, shopper) == moments_of(corpus, whole.events, shopper)
    others = {tuple(choose_ranker_targets(corpus, holdout, seed).events.tolist()) for seed in range(3)}
    assert len(others) == 3


def test_a_moment_holds_each_of_its_items_once(corpus: Corpus, holdout: Holdout) -> None:
    for target in choose_ranker_targets(corpus, holdout, seed=0).events.tolist():
        own = corpus.event_shopper == corpus.event_shopper[target]
        same = corpus.event_item[own & (corpus.columns.time == corpus.columns.time[target])]
        assert list_moment_items(corpus, target).tolist() == sorted(set(same.tolist()) - {NO_ITEM})
