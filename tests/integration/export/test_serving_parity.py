"""Training and serving give the ranker the same candidates, with the same features, for the same history."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from portrait.export.precision import Precision
from portrait.export.release import export_release
from portrait.features.candidates.relations import RELATIONS
from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType
from portrait.server.catalogue.catalogue import Catalogues
from portrait.server.catalogue.filters import Filter
from portrait.server.inference.shoppers import Shopper, ShopperEncoder
from portrait.server.recommendation import candidates as serving
from portrait.server.release.release import Release
from portrait.training.dataset.corpus import NO_ITEM
from portrait.training.encoders.retrieval import TargetVectors, embed_texts, encode_targets
from portrait.training.ranker import candidates as training
from portrait.training.ranker.item_index import build_item_index
from portrait.training.ranker.item_statistics import compute_item_statistics
from portrait.training.ranker.relations import fit_relations
from portrait.training.run.run import TrainedRun

COLD = [3, 20, 40]
"""Rows of the items that the run of this file knows no events of."""
BUDGETS = {
    "NEAREST_CANDIDATES": 5,
    "COLD_CANDIDATES": 2,
    "FAMILIAR_CANDIDATES": 4,
    "POPULAR_CANDIDATES": 6,
    "WORD_CANDIDATES": 4,
}
RELATED = dict.fromkeys(RELATIONS, 3)
"""So few that the small catalogue has more, and each source has to choose."""


@pytest.fixture(scope="module")
def with_cold_items(trained: TrainedRun) -> TrainedRun:
    """The run as if three of its items had been in no event that it learnt from."""
    corpus, learnt = trained.corpus, trained.holdout.learnt(trained.corpus)
    learnt = learnt[~np.isin(corpus.event_item[learnt], COLD)]
    counts = trained.holdout.item_counts.copy()
    counts[COLD] = 0.0
    statistics = compute_item_statistics(corpus, learnt)
    index = build_item_index(trained.model, trained.cache, corpus, counts, statistics)
    return dataclasses.replace(trained, index=index, relations=fit_relations(corpus, learnt, trained.settings))


@pytest.fixture(scope="module")
def release(with_cold_items: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Release:
    repository = tmp_path_factory.mktemp("parity") / "model_repository"
    export_release(with_cold_items, {}, repository, Precision.FP32, lambda _: None)
    return Release.load(repository, 1)


@pytest.fixture(autouse=True)
def small_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (training, serving):
        for name, count in BUDGETS.items():
            monkeypatch.setattr(module, name, count)
        monkeypatch.setattr(module, "RELATED_CANDIDATES", RELATED)
        monkeypatch.setattr(module, "RELATED_CANDIDATES_OF_SEARCH", dict.fromkeys(RELATED, 1))


@dataclass(frozen=True)
class Moments:
    """Held-out moments of a run, as training and as serving see them."""

    run: TrainedRun
    release: Release
    log: pl.DataFrame

    def vectors(self) -> TargetVectors:
        run = self.run
        return encode_targets(run.model, run.cache, run.corpus, run.holdout.test, run.index.vectors)

    def build(self, vectors: TargetVectors, mask_seen: bool) -> training.Candidates:
        holdout = dataclasses.replace(self.run.holdout, mask_seen=mask_seen)
        builder = training.CandidateBuilder(self.run.corpus, holdout, self.run.index, self.run.relations)
        return builder.build(vectors, self.texts(), np.random.default_rng(0))

    def texts(self) -> NDArray[np.float32]:
        return embed_texts(self.run.model, self.run.cache).numpy()

    def shopper(self, target: int, profile: NDArray[np.float32], query: int) -> Shopper:
        """The shopper of a target as a gateway has read the events before it."""
        corpus = self.run.corpus
        own = self.log.filter(pl.col("shopper_id") == corpus.shopper_ids[corpus.event_shopper[target]])
        rows = own.sort("sequence").head(int(corpus.context_end[target] - corpus.shopper_start[target]))
        history = [_make_event(row) for row in rows.iter_rows(named=True)]
        encoder = ShopperEncoder(cast(Any, None), self.release, cast(Any, None))
        known = encoder.encode_cached(history, "", datetime.now(UTC), Catalogues(self.release).now())
        assert known is not None
        if query < 0:
            return dataclasses.replace(known, profile=profile)
        words = self.release.words.read_query(corpus.texts[query])
        return dataclasses.replace(known, profile=profile, query=self.texts()[query], query_words=words)

    def serve(self, target: int, shopper: Shopper, left_out: Sequence[Event]) -> tuple[list[int], NDArray[np.float32]]:
        """Rows and features of the candidates that serving makes of the same events."""
        now = Catalogues(self.release)[DEFAULT_CATALOGUE].now
        as_of = datetime.fromtimestamp(float(self.run.corpus.columns.time[target]), UTC)
        history = serving.summarise_shopper(shopper, now, as_of)
        chosen = serving.generate_candidates(now, shopper, history, 1, Filter(), left_out)
        rows = [self.release.items.row(DEFAULT_CATALOGUE, item_id) for item_id in chosen.item_ids]
        return rows, serving.compute_features(chosen, shopper, history)


def _make_event(row: dict[str, Any]) -> Event:
    names = ("price", "quantity", "rating", "dwell_seconds", "position", "query")
    return Event(
        row["event_id"], EventType(row["type"]), row["time"], row["item_id"], **{name: row[name] for name in names}
    )


@pytest.fixture(scope="module")
def moments(with_cold_items: TrainedRun, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    data = Path(with_cold_items.data["path"])
    return Moments(with_cold_items, release, pl.read_parquet(data / "events.parquet"))


@pytest.mark.parametrize("mask_seen", [False, True])
def test_training_and_serving_choose_and_describe_the_same_candidates(moments: Moments, mask_seen: bool) -> None:
    vectors = moments.vectors()
    built = moments.build(vectors, mask_seen)
    asked = built.query >= 0
    assert asked.any()
    assert not asked.all()
    for row, target in enumerate(vectors.targets.tolist()):
        shopper = moments.shopper(target, vectors.profiles[row], int(built.query[row]))
        left_out = shopper.events if mask_seen and not asked[row] else ()
        found, features = moments.serve(target, shopper, left_out)
        shown = built.items[row][built.shown[row]]
        place = {item: place for place, item in enumerate(found)}
        assert found == shown.tolist()
        served = features[[place[item] for item in shown.tolist()]]
        np.testing.assert_allclose(served, built.features[row][built.shown[row]], rtol=1e-4, atol=1e-5)


def test_the_moments_are_such_that_every_source_counts(moments: Moments) -> None:
    corpus, index = moments.run.corpus, moments.run.index
    assert np.flatnonzero(index.is_cold).tolist() == COLD
    vectors = moments.vectors()
    built = moments.build(vectors, mask_seen=False)
    shown = built.shown.sum(1)
    assert (shown < len(corpus.items)).all()
    assert np.isin(built.items[built.shown], COLD).any()
    for name in RELATIONS:
        assert len(moments.run.relations.by_name[name].items), name
    assert (corpus.event_item[corpus.context_end[vectors.targets] - 1] == NO_ITEM).any()
