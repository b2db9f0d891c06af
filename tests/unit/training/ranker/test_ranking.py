"""The fit of the ranker: it finds the input that says what comes next, and counts the whole catalogue."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.search.word_index import QUERY_MATCHES
from portrait.training.encoders.retrieval import TargetVectors
from portrait.training.ranker.candidates import Candidates
from portrait.training.ranker.model import compute_next_probability
from portrait.training.ranker.ranking import RankerSamples, SearchesAlone, fit_ranker, run_ranker

TARGETS, WIDTH, ITEMS = 640, 12, 200
SAME_FOR_ALL = (*ITEM_STATISTICS, "cold_item", "has_query")
TELLING = CANDIDATE_FEATURES.index("item_share")
LATE = np.arange(TARGETS) >= 0.8 * TARGETS


@pytest.fixture(scope="module")
def vectors() -> TargetVectors:
    """Vectors that tell nothing."""
    random = np.random.default_rng(0)
    items, profiles = (random.normal(size=(count, 8)).astype(np.float32) for count in (ITEMS, TARGETS))
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    return TargetVectors(items, profiles, np.arange(TARGETS))


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    """Moments of two items, the first two candidates, which one feature tells; half of them are purchases.

    The last four candidates were drawn for the rest of the catalogue.
    """
    random = np.random.default_rng(1)
    shape = (TARGETS, WIDTH)
    features = random.random((*shape, len(CANDIDATE_FEATURES))).astype(np.float32)
    features[..., [CANDIDATE_FEATURES.index(name) for name in ("cold_item", "has_query")]] = 0.0
    features[..., TELLING] = random.normal(0.0, 0.2, shape)
    features[:, :2, TELLING] += 1.0
    places = np.broadcast_to(np.arange(WIDTH), shape)
    weight = np.where(places < WIDTH - 4, 1.0, (ITEMS - WIDTH + 4) / 4).astype(np.float32)
    return Candidates(
        items=np.stack([random.choice(ITEMS, WIDTH, replace=False) for _ in range(TARGETS)]),
        features=features,
        shown=places < WIDTH - 4,
        found_by=(places < WIDTH - 4).astype(np.uint16),
        weight=weight,
        label=places == 0,
        together=places < 2,
        bought=np.arange(TARGETS) % 2 == 0,
        query=np.full(TARGETS, -1),
    )


def test_the_order_and_the_chances_follow_what_is_told(vectors: TargetVectors, candidates: Candidates) -> None:
    weights = np.ones(TARGETS, dtype=np.float32)
    times = np.arange(TARGETS, dtype=np.float64)
    ranker = fit_ranker(RankerSamples(vectors, candidates, torch.zeros(1, 8), weights, times), 1.0, seed=0)
    with torch.no_grad():
        score, chances = run_ranker(ranker, vectors, candidates, torch.zeros(1, 8), np.arange(TARGETS))
    best = np.sort(np.argsort(-score.numpy()[:, : WIDTH - 4], axis=1)[:, :2], axis=1)
    assert (best == [0, 1]).all(axis=1).mean() > 0.9
    # Every second target is a purchase.
    click = compute_next_probability(chances).numpy()
    purchase = click * torch.sigmoid(chances[..., 1]).numpy()
    told, shown = click[:, :2].mean(), click[:, 2 : WIDTH - 4].mean()
    assert told > 3 * shown
    assert purchase[:, :2].mean() == pytest.approx(told / 2, rel=0.1)
    assert (click * candidates.weight).sum(1).mean() == pytest.approx(1.0, rel=0.1)


def test_chances_are_calibrated_on_later_moments(vectors: TargetVectors, candidates: Candidates) -> None:
    """A feature told the next item until the last fifth; since then it tells nothing."""
    features = candidates.features.copy()
    features[LATE, :, TELLING] = np.random.default_rng(2).permuted(features[LATE, :, TELLING], axis=1)
    changed = dataclasses.replace(candidates, features=features)
    weights, times = np.ones(TARGETS, dtype=np.float32), np.arange(TARGETS, dtype=np.float64)
    ranker = fit_ranker(RankerSamples(vectors, changed, torch.zeros(1, 8), weights, times), 1.0, seed=0)
    with torch.no_grad():
        _, chances = run_ranker(ranker, vectors, changed, torch.zeros(1, 8), np.flatnonzero(LATE))
    click = compute_next_probability(chances).numpy()
    assert float(ranker.calibration[0, 0]) < 0.5
    assert (click * changed.weight[LATE]).sum(1).mean() == pytest.approx(1.0, rel=0.02)


def make_searches(
    vectors: TargetVectors, candidates: Candidates, features: NDArray[np.float32], count: int
) -> RankerSamples:
    """Make samples of searches, of which as many late ones as `count` follow other events."""
    features = features.copy()
    features[..., CANDIDATE_FEATURES.index("has_query")] = 1.0
    searches = dataclasses.replace(candidates, features=features, query=np.zeros(TARGETS, dtype=np.int64))
    weights, times = np.ones(TARGETS, dtype=np.float32), np.arange(TARGETS, dtype=np.float64)
    text = torch.nn.functional.normalize(torch.ones(1, 8), dim=-1)
    samples = RankerSamples(vectors, searches, text, weights, times)
    rows = samples.find_searches_with_past(np.flatnonzero(LATE))[-count:]
    unknown = np.where([name in SAME_FOR_ALL or name in QUERY_MATCHES for name in CANDIDATE_FEATURES], features, 0.0)
    nothing_done = dataclasses.replace(searches, features=unknown.astype(np.float32))
    parts = {each.name: getattr(nothing_done, each.name)[rows] for each in dataclasses.fields(nothing_done)}
    no_profiles = TargetVectors(vectors.items, np.zeros_like(vectors.profiles[rows]), vectors.targets[rows])
    return dataclasses.replace(samples, searches_alone=SearchesAlone(rows, no_profiles, Candidates(**parts)))


@pytest.mark.parametrize("tells_until_the_end", [True, False])
def test_the_past_moves_later_searches_only_where_it_helped(
    vectors: TargetVectors, candidates: Candidates, tells_until_the_end: bool
) -> None:
    """A feature of the past tells the item that is searched for: always, or only in the first four fifths."""
    features = candidates.features.copy()
    if not tells_until_the_end:
        features[LATE, :, TELLING] = -features[LATE, :, TELLING]
    samples = make_searches(vectors, candidates, features, count=TARGETS)
    assert bool(fit_ranker(samples, 1.0, seed=0).searches_read_past) == tells_until_the_end


def test_few_searches_do_not_settle_it(vectors: TargetVectors, candidates: Candidates) -> None:
    samples = make_searches(vectors, candidates, candidates.features, count=29)
    assert not fit_ranker(samples, 1.0, seed=0).searches_read_past


def test_without_searches_nothing_is_settled(vectors: TargetVectors, candidates: Candidates) -> None:
    weights, times = np.ones(TARGETS, dtype=np.float32), np.arange(TARGETS, dtype=np.float64)
    samples = RankerSamples(vectors, candidates, torch.zeros(1, 8), weights, times)
    assert fit_ranker(samples, 1.0, seed=0).searches_read_past


def test_searches_without_the_past_are_calibrated_as_they_are_served(
    vectors: TargetVectors, candidates: Candidates
) -> None:
    """Every late target is a search of a shopper with a past, and the past misleads."""
    features = candidates.features.copy()
    features[LATE, :, TELLING] = -features[LATE, :, TELLING]
    samples = make_searches(vectors, candidates, features, count=TARGETS)
    ranker, alone = fit_ranker(samples, 1.0, seed=0), samples.searches_alone
    assert alone is not None
    assert len(alone.rows) == LATE.sum()
    with torch.no_grad():
        _, chances = run_ranker(ranker, alone.vectors, alone.candidates, samples.texts, np.arange(len(alone.rows)))
    click = compute_next_probability(chances).numpy()
    assert (click * alone.candidates.weight).sum(1).mean() == pytest.approx(1.0, rel=0.02)
