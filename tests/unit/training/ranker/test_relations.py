"""Each relation against the same formula written out densely for a small data set."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from support import tiny_data

from portrait.features.candidates.relations import ASSOCIATION, RELATIONS, TITLE, TRANSITION, TWO_HOPS, Relations
from portrait.features.histories.history_arrays import count_later_moments
from portrait.features.text.normalisation import normalise_text
from portrait.features.text.segmentation import split_words
from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.ranker import relations
from portrait.training.ranker.associations import fit_associations
from portrait.training.settings import TrainSettings

SETTINGS = TrainSettings()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=12, events=10))


@pytest.fixture(scope="module")
def events(corpus: Corpus) -> NDArray[np.int64]:
    return np.flatnonzero(corpus.event_item != NO_ITEM)


@pytest.fixture(scope="module")
def fitted(corpus: Corpus, events: NDArray[np.int64]) -> Relations:
    return relations.fit_relations(corpus, events, SETTINGS)


def matrix_of(fitted: Relations, name: str, items: int) -> NDArray[np.float64]:
    """`[items, items]`: the weights of a relation."""
    every = np.arange(items)
    rows = [fitted.by_name[name].score_history([row], [0.0]).scores_of(every) for row in every.tolist()]
    return np.stack(rows).astype(np.float64)


def count_transitions(corpus: Corpus, events: NDArray[np.int64]) -> NDArray[np.float64]:
    """Transitions to the next moment, half as much backwards, over powers of the sums of rows and columns."""
    size = len(corpus.items)
    forward = np.zeros((size, size))
    for shopper in range(len(corpus.shopper_ids)):
        own = events[corpus.event_shopper[events] == shopper]
        times, items = corpus.columns.time[own], corpus.event_item[own]
        for moment in np.unique(times)[1:]:
            before = times < moment
            shares = SETTINGS.association_decay ** count_later_moments(times[before])
            for item, share in zip(items[before], shares, strict=True):
                np.add.at(forward[item], items[times == moment], share)
    counts = forward + 0.5 * forward.T
    np.fill_diagonal(counts, 0.0)
    out, into = np.maximum(counts.sum(1), 1e-9), np.maximum(counts.sum(0), 1e-9)
    return counts / out[:, None] ** 0.5 / into[None] ** 0.35


def compare_titles(corpus: Corpus, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cosines of the chosen items by TF-IDF over the whole catalogue; words of one item alone say nothing."""
    texts = [corpus.texts[row] for row in corpus.item_text.tolist()]
    words = [Counter(word.casefold() for word in split_words(normalise_text(text))) for text in texts]
    frequency = Counter(word for counted in words for word in counted)
    shared = [word for word, count in frequency.items() if count > 1]
    rarity = np.array([np.log(len(texts) / frequency[word]) for word in shared])
    counts = np.array([[counted[word] for word in shared] for counted in words])
    vectors = np.where(counts, 1.0 + np.log(np.maximum(counts, 1)), 0.0) * rarity
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = np.zeros((len(corpus.items), len(corpus.items)))
    cosines[np.ix_(chosen, chosen)] = vectors[chosen] @ vectors[chosen].T
    np.fill_diagonal(cosines, 0.0)
    return cosines


def test_transitions_and_their_two_hops_are_the_counts(
    corpus: Corpus, events: NDArray[np.int64], fitted: Relations
) -> None:
    expected = count_transitions(corpus, events)
    assert np.allclose(matrix_of(fitted, TRANSITION, len(corpus.items)), expected, atol=1e-5)
    hops = expected @ expected
    np.fill_diagonal(hops, 0.0)
    assert (hops > 0).any()
    assert np.allclose(matrix_of(fitted, TWO_HOPS, len(corpus.items)), hops, atol=1e-5)


def test_titles_are_compared_by_their_rare_words(corpus: Corpus, events: NDArray[np.int64], fitted: Relations) -> None:
    chosen = np.unique(corpus.event_item[events])
    expected = compare_titles(corpus, chosen)
    assert np.allclose(matrix_of(fitted, TITLE, len(corpus.items)), expected, atol=1e-5)


def test_the_linear_fit_is_one_of_the_relations(corpus: Corpus, events: NDArray[np.int64], fitted: Relations) -> None:
    assert tuple(fitted.by_name) == RELATIONS
    alone = fit_associations(corpus, events, SETTINGS)
    assert np.array_equal(fitted.association.items, alone.items)
    assert np.array_equal(fitted.association.weights, alone.weights)


def test_only_the_largest_weights_of_an_item_are_kept(
    corpus: Corpus, events: NDArray[np.int64], fitted: Relations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relations, "MAX_WEIGHTS_PER_ITEM", 3)
    few = relations.fit_relations(corpus, events, SETTINGS)
    for name in set(RELATIONS) - {ASSOCIATION}:
        every = matrix_of(fitted, name, len(corpus.items))
        kept = matrix_of(few, name, len(corpus.items))
        best = np.sort(every, axis=1)[:, -3:]
        assert np.allclose(np.sort(kept, axis=1)[:, -3:], best, atol=1e-6), name
        assert ((kept > 0).sum(1) <= 3).all(), name


def test_an_item_without_events_leads_nowhere_and_nothing_leads_to_it(
    corpus: Corpus, events: NDArray[np.int64]
) -> None:
    unknown = int(corpus.event_item[events[0]])
    fitted = relations.fit_relations(corpus, events[corpus.event_item[events] != unknown], SETTINGS)
    for name, matrix in fitted.by_name.items():
        assert len(matrix.score_history([unknown], [0.0]).rows) == 0, name
        assert unknown not in matrix.items, name
