"""Pairs of texts: what belongs together, and nothing of what is held out."""

import dataclasses

import numpy as np
import pytest
from support import tiny_data

from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.dataset.splits import Holdout, hold_out
from portrait.training.encoders.text_pairs import TextPairs, build_text_pairs
from portrait.training.enums import Split


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module", params=list(Split))
def holdout(corpus: Corpus, request: pytest.FixtureRequest) -> Holdout:
    return hold_out(corpus, request.param)


def _read_pairs(pairs: TextPairs) -> set[tuple[str, str]]:
    return {
        (pairs.texts[first], pairs.texts[second]) for first, second in zip(pairs.anchor, pairs.positive, strict=True)
    }


def test_pairs_of_events_come_from_training_events_alone(corpus: Corpus, holdout: Holdout) -> None:
    """A log whose held-out events are all of other items and searches gives the same pairs."""
    expected = build_text_pairs(corpus, holdout.learnt(corpus))
    random = np.random.default_rng(0)
    held_out = ~holdout.train
    item, text = corpus.event_item.copy(), corpus.event_text.copy()
    item[held_out] = np.where(item[held_out] >= 0, random.integers(0, len(corpus.items), held_out.sum()), -1)
    text[held_out] = random.integers(0, len(corpus.texts), held_out.sum())
    changed = dataclasses.replace(corpus, event_item=item, event_text=text)
    assert held_out.sum() > 100
    assert _read_pairs(build_text_pairs(changed, holdout.learnt(corpus))) == _read_pairs(expected)


def test_a_query_and_a_clicked_item_are_a_pair(corpus: Corpus, holdout: Holdout) -> None:
    pairs = _read_pairs(build_text_pairs(corpus, holdout.learnt(corpus)))
    led = holdout.learnt(corpus)
    led = led[corpus.event_search[led] >= 0]
    assert len(led)
    for event in led.tolist():
        assert (
            corpus.texts[corpus.event_text[corpus.event_search[event]]],
            corpus.texts[corpus.event_text[event]],
        ) in pairs


def test_a_title_and_its_category_are_a_pair(corpus: Corpus) -> None:
    pairs = build_text_pairs(corpus, np.empty(0, dtype=np.int64))
    assert ("red lamps number 0", "Home, Lamps, Acme, red") in _read_pairs(pairs)
    assert len(pairs) == len(corpus.items)
    assert pairs.probability == pytest.approx(1 / len(pairs))


def test_what_is_said_of_many_items_is_in_no_pair(corpus: Corpus) -> None:
    items = [dataclasses.replace(item, category_path=("Home",), brand=None, attributes={}) for item in corpus.items]
    assert not len(build_text_pairs(dataclasses.replace(corpus, items=items), np.empty(0, dtype=np.int64)))


def test_no_text_is_paired_with_itself_and_related_texts_are_known_in_both_orders(
    corpus: Corpus, holdout: Holdout
) -> None:
    pairs = build_text_pairs(corpus, holdout.learnt(corpus))
    assert (pairs.anchor != pairs.positive).all()
    assert pairs.probability.sum() == pytest.approx(1.0)
    related = pairs.related.toarray()
    assert related.dtype == bool
    assert related[pairs.anchor, pairs.positive].all()
    assert (related == related.T).all()
    assert related.diagonal().all()


def test_likely_pairs_are_drawn_more_often_and_none_twice() -> None:
    pairs = TextPairs(list("abcd"), np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([0.8, 0.1, 0.1]))
    drawn = [pairs.draw(1, np.random.default_rng(seed)).tolist() for seed in range(1000)]
    assert 750 < drawn.count([0]) < 850
    assert pairs.draw(5, np.random.default_rng(0)).tolist() == [0, 1, 2]
