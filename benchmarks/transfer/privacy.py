"""Demographics that profiles reveal, before and after concept erasure."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import probes
from benchmarks.common.ranking.protocol import RankingTask
from portrait.features.histories.history_arrays import MAX_ENCODED_SLOTS
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.encoders import concept_erasure
from portrait.training.encoders.retrieval import TargetVectors, encode_targets
from portrait.training.enums import Demographic
from portrait.training.run.run import TrainedRun

MIN_SHOPPERS = 60
_ATTRIBUTES = (Demographic.GENDER, Demographic.AGE_BAND)
_PROFILE_PROBES = {
    "linear": probes.make_linear,
    "radial kernel": probes.make_kernel,
    "boosted trees": probes.make_boosting,
}


def measure(data: Path, trained: TrainedRun, concealed: TrainedRun | None) -> dict[str, list[dict[str, Any]]]:
    """Measure the probes for each attribute."""
    corpus = trained.corpus
    values = concept_erasure.read_declared_values(data, corpus, _ATTRIBUTES)
    ours = encode_targets(trained.model, trained.cache, corpus, _find_last_events(corpus))
    targets = ours.targets  # those with an earlier event
    values = values[:, corpus.event_shopper[targets]]
    everyone = np.ones(len(targets), dtype=bool)
    seen: list[tuple[str, NDArray[np.float32], NDArray[np.bool_]]] = [("profile", ours.profiles, everyone)]
    if concealed is not None:
        half = np.random.default_rng(probes.SEED).random(len(targets)) < 0.5
        hidden = _conceal_by_others(data, trained, concealed, ours, half)
        seen += [
            ("concealed profile", encode_targets(concealed.model, concealed.cache, corpus, targets).profiles, everyone),
            ("profile of half of the shoppers", ours.profiles, half),
            ("the same, concealed by what the others declared", hidden, half),
        ]
    histories = RankingTask(corpus, trained.holdout).histories(targets)
    found: dict[str, list[dict[str, Any]]] = {}
    for attribute, value in zip(_ATTRIBUTES, values, strict=True):
        counted = np.isin(value, np.flatnonzero(np.bincount(value[value >= 0]) >= MIN_SHOPPERS))
        places = np.flatnonzero(counted)
        rows: list[tuple[str, str, probes.Probe, Any, NDArray[np.int64]]] = [
            ("nothing", "majority", probes.make_majority, np.zeros((len(places), 1)), places),
            ("all events", "TF-IDF, linear", probes.make_tfidf, [histories[place] for place in places], places),
            (
                "the events of the profile", "TF-IDF, linear", probes.make_tfidf,
                [histories[place][-MAX_ENCODED_SLOTS:] for place in places], places,
            ),
        ]  # fmt: skip
        for sees, vectors, among in seen:
            chosen = np.flatnonzero(counted & among)
            rows += [(sees, name, probe, vectors[chosen], chosen) for name, probe in _PROFILE_PROBES.items()]
        found[attribute] = [
            {"sees": sees, "probe": name, **probes.measure_probe(probe, features, value[chosen])}
            for sees, name, probe, features, chosen in rows
        ]
    return found


def _find_last_events(corpus: Corpus) -> NDArray[np.int64]:
    """Find each shopper's last event with an item, ascending."""
    events = np.flatnonzero(corpus.event_item != NO_ITEM)
    shopper = corpus.event_shopper[events]
    return events[np.append(shopper[1:] != shopper[:-1], True)]


def _conceal_by_others(
    data: Path, trained: TrainedRun, concealed: TrainedRun, ours: TargetVectors, half: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return profiles after a concept erasure that is fitted, as in training, on the shoppers outside of one half."""
    corpus = trained.corpus
    learnt = concept_erasure.sample_profiles(trained.model, trained.cache, corpus, trained.holdout)
    shoppers = corpus.event_shopper[learnt.targets]
    others = ~np.isin(shoppers, corpus.event_shopper[ours.targets[half]])
    values = concept_erasure.read_declared_values(data, corpus, concealed.settings.erase)
    concealment = concept_erasure.fit_eraser(
        learnt.profiles[others], values[:, shoppers[others]], trained.settings.subspaces
    )
    return concealment(torch.from_numpy(ours.profiles)).numpy()
