"""The linear fit against the same formula written out for a small data set, event by event."""

import numpy as np
import pytest
from support import tiny_data

from portrait.features.histories.history_arrays import count_later_moments
from portrait.training.dataset.corpus import NO_ITEM, Corpus, load_corpus
from portrait.training.ranker import associations
from portrait.training.settings import TrainSettings

SETTINGS = TrainSettings()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=12, events=10))


def _written_out(corpus: Corpus, events: np.ndarray) -> np.ndarray:
    """`(SᵀS + λI)⁻¹ SᵀT` with one row of S and T for each moment."""
    size = len(corpus.items)
    before, after = [], []
    for shopper in range(len(corpus.shopper_ids)):
        own = events[corpus.event_shopper[events] == shopper]
        times = corpus.columns.time[own]
        for moment in np.unique(times)[1:]:
            source, target = np.zeros(size), np.zeros(size)
            np.add.at(source, corpus.event_item[own[times < moment]], 0.7 ** count_later_moments(times[times < moment]))
            later = times[times >= moment]
            steps = np.unique(later, return_inverse=True)[1]
            np.add.at(target, corpus.event_item[own[times >= moment]], 0.5**steps)
            before.append(source)
            after.append(target)
    s, t = np.stack(before), np.stack(after)
    return np.linalg.solve(s.T @ s + SETTINGS.association_ridge * np.eye(size), s.T @ t)


def test_fit_is_the_formula(corpus: Corpus) -> None:
    events = np.flatnonzero(corpus.event_item != NO_ITEM)
    fitted = associations.fit_associations(corpus, events, SETTINGS)
    expected = np.maximum(_written_out(corpus, events), 0.0)
    for row in range(len(corpus.items)):
        found = fitted.score_history([row], [0.0]).scores_of(np.arange(len(corpus.items)))
        # Shares below a hundredth are left out of the fit.
        assert np.allclose(found, expected[row], atol=0.02)


def test_an_item_without_events_leads_nowhere_and_nothing_leads_to_it(corpus: Corpus) -> None:
    events = np.flatnonzero(corpus.event_item != NO_ITEM)
    unknown = int(corpus.event_item[events[0]])
    fitted = associations.fit_associations(corpus, events[corpus.event_item[events] != unknown], SETTINGS)
    assert len(fitted.score_history([unknown], [0.0]).rows) == 0
    assert unknown not in fitted.items
