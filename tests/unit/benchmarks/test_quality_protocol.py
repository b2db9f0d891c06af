"""The protocol of the quality benchmark: what is learnt from, what is ranked, and where a target stands."""

from dataclasses import replace

import numpy as np
import pytest
from support import tiny_data

from benchmarks.common.ranking.protocol import RankingTask
from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.encoders.retrieval import find_masked_items
from portrait.training.enums import Split


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=20, events=12))


@pytest.mark.parametrize("split", list(Split))
def test_a_refit_learns_what_precedes_the_test_and_nothing_later(corpus: Corpus, split: Split) -> None:
    first, refit = hold_out(corpus, split), hold_out(corpus, split, refit=True)
    assert np.array_equal(first.test, refit.test)
    assert not refit.train[refit.test].any()
    assert not first.train[first.validation].any()
    assert (refit.train | ~first.train).all()  # it learns all that the first one did
    assert refit.item_counts.sum() > first.item_counts.sum()
    if split is Split.LOO:
        for target in refit.test:
            end = corpus.starts[corpus.event_shopper[target] + 1]
            assert not refit.train[corpus.context_end[target] : end].any()
            assert refit.train[corpus.shopper_start[target] : corpus.context_end[target]].all()


def test_contexts_count_recent_events_more(corpus: Corpus) -> None:
    task = RankingTask(corpus, hold_out(corpus, Split.LOO))
    targets = task.holdout.test
    contexts = task.contexts(targets, 0.5)
    for row, target in enumerate(targets):
        expected = np.zeros(len(corpus.items))
        items = corpus.event_item[corpus.shopper_start[target] : corpus.context_end[target]]
        items = items[items != NO_ITEM]
        for steps, item in enumerate(items[::-1]):
            expected[item] += 0.5**steps
        assert np.allclose(contexts[row].toarray()[0], expected)


def test_a_target_stands_behind_what_ties_with_it_and_masked_items_are_left_out(corpus: Corpus) -> None:
    task = RankingTask(corpus, hold_out(corpus, Split.LOO))
    masked = RankingTask(corpus, replace(task.holdout, mask_seen=True))
    targets = task.holdout.test

    def scorer(part: np.ndarray) -> np.ndarray:
        return np.tile(-np.arange(len(corpus.items), dtype=np.float32), (len(part), 1))

    wanted = corpus.event_item[targets]
    assert np.array_equal(task.ranks(scorer, targets), wanted)
    for target, item, rank in zip(targets, wanted, masked.ranks(scorer, targets), strict=True):
        seen = find_masked_items(corpus, target)
        assert rank == (-1 if item in seen else item - (seen < item).sum())
    flat = task.ranks(lambda part: np.zeros((len(part), len(corpus.items)), dtype=np.float32), targets)
    assert (flat == len(corpus.items) - 1).all()
    among = np.unique(wanted)
    assert np.array_equal(task.ranks(scorer, targets, among), np.searchsorted(among, wanted))
