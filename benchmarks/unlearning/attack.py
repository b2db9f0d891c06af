"""Membership inference: who was in the log that a model has learnt from?

The attack has the model, whole histories, and reference models of the same kind that have seen none of the shoppers in
question. A shopper whose events the model foresees better than these do was probably in its log. This is difficulty
calibration (Watson et al. 2022, "On the Importance of Difficulty Calibration in Membership Inference Attacks"); the
offline attack of Carlini et al. 2022, "Membership Inference Attacks From First Principles", with few references.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.errors import BenchmarkError
from portrait.training import metrics
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.encoders.retrieval import encode_items, encode_targets
from portrait.training.run import evaluation
from portrait.training.run.run import TrainedRun

ENCODERS, RANKING = "encoders", "ranking"
SIGNALS = (ENCODERS, RANKING)
"""Signals that the attack reads: the softmax of the encoders over all items, or the chances that a release returns."""

_MAX_RANKED_EVENTS = 1
"""Events of a shopper that are ranked at most."""
_LOWEST_CHANCE = 1e-6
"""Chance of an item that is no candidate."""
_SEED, _RESAMPLES = 0, 1000


@dataclass(frozen=True)
class Attacked:
    """Shoppers in question, and their events that training would learn from."""

    corpus: Corpus
    """Events of everybody."""
    events: dict[str, NDArray[np.int64]]
    """By signal: `[events]`, ascending."""

    @classmethod
    def choose(cls, corpus: Corpus, run: TrainedRun, shoppers: NDArray[np.int64]) -> "Attacked":
        """Choose the events of some shoppers.

        Raises:
            BenchmarkError: without some shoppers, the log has other items or texts.
        """
        if corpus.item_ids != run.corpus.item_ids or corpus.texts != run.corpus.texts:
            raise BenchmarkError(
                "the log has other items or texts without some of its shoppers, so their histories can't be read by a "
                "model without them; give a log with a catalogue and without searches"
            )
        train = hold_out(corpus, run.settings.split).train
        learnt = train & (corpus.event_item != NO_ITEM) & corpus.has_context
        events = np.flatnonzero(learnt & np.isin(corpus.event_shopper, shoppers))
        order = np.random.default_rng(_SEED).permutation(len(events))
        turn = _number_within(corpus.event_shopper[events[order]])
        return cls(corpus, {ENCODERS: events, RANKING: np.sort(events[order[turn < _MAX_RANKED_EVENTS]])})

    def measure(self, run: TrainedRun) -> dict[str, NDArray[np.float64]]:
        """Measure how badly a model foresees: signal → `[events]`, nats."""
        events = self.events
        return {
            ENCODERS: _measure_encoder_loss(run, self.corpus, events[ENCODERS]),
            RANKING: _measure_ranking_loss(run, self.corpus, events[RANKING]),
        }

    def score(
        self, losses: dict[str, NDArray[np.float64]], references: Sequence[dict[str, NDArray[np.float64]]]
    ) -> dict[str, NDArray[np.float64]]:
        """Score each shopper: signal → `[shoppers of the corpus]`, larger for members, NaN without events.

        Args:
            losses: of the model that is attacked.
            references: of models that have seen none of the shoppers.
        """
        found = {}
        for signal, events in self.events.items():
            gained = np.mean([each[signal] for each in references], axis=0) - losses[signal]
            shopper = self.corpus.event_shopper[events]
            count = np.bincount(shopper, minlength=len(self.corpus.shopper_ids)).astype(np.float64)
            count[count == 0] = np.nan
            found[signal] = np.bincount(shopper, gained, minlength=len(count)) / count
        return found


@dataclass(frozen=True)
class Scored:
    """Scores that an attack gives some shoppers."""

    members: NDArray[np.float64]
    """`[members]`: of those who are, or were, in the log."""
    others: NDArray[np.float64]
    """`[others]`: of those who never were."""

    @classmethod
    def choose(cls, scores: NDArray[np.float64], members: NDArray[np.int64], others: NDArray[np.int64]) -> "Scored":
        """Choose the scores of two groups, given by the shoppers' rows; those who are NaN are left out."""
        return cls(*(scores[rows][np.isfinite(scores[rows])] for rows in (members, others)))

    def compute_auc(self) -> float:
        """Compute the area under the ROC curve."""
        labels = np.arange(len(self.members) + len(self.others)) < len(self.members)
        return metrics.auc(np.concatenate([self.members, self.others]), labels, np.ones(len(labels)))

    def resample(self, random: np.random.Generator) -> "Scored":
        """Draw as many of each group, with replacement; equal generators draw the same shoppers."""
        return Scored(*(each[random.integers(0, len(each), len(each))] for each in (self.members, self.others)))


def measure_auc(draws: Sequence[Scored], retrained: Sequence[Scored]) -> dict[str, Any]:
    """Measure the mean AUC over some draws, with 95% bootstrap intervals over their shoppers.

    Args:
        draws: scores by a model, of each draw.
        retrained: those of the same shoppers by a model that has not seen them. Its AUC differs from .5 by the chance
            of who was drawn; the difference to it does not.
    """
    resampled, floor = _resample_auc(draws), _resample_auc(retrained)
    auc = _average_auc(draws)
    return {
        "auc": auc,
        "interval": _find_interval(resampled),
        "minus_retrained": {"difference": auc - _average_auc(retrained), "interval": _find_interval(resampled - floor)},
        "members": sum(len(each.members) for each in draws),
        "others": sum(len(each.others) for each in draws),
    }


def _average_auc(draws: Sequence[Scored]) -> float:
    return float(np.mean([each.compute_auc() for each in draws]))


def _resample_auc(draws: Sequence[Scored]) -> NDArray[np.float64]:
    """`[resamples]`: the mean AUC, of the same resampled shoppers at each call for the same numbers of shoppers."""
    random = np.random.default_rng(_SEED)
    return np.array([_average_auc([each.resample(random) for each in draws]) for _ in range(_RESAMPLES)])


def _find_interval(resampled: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(low), float(high)


def _number_within(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[rows]`: number of earlier rows of the same group."""
    order = np.argsort(groups, kind="stable")
    turn = np.empty(len(groups), dtype=np.int64)
    turn[order] = np.arange(len(groups)) - np.searchsorted(groups[order], groups[order])
    return turn


def _measure_encoder_loss(run: TrainedRun, corpus: Corpus, events: NDArray[np.int64]) -> NDArray[np.float64]:
    vectors = encode_targets(run.model, run.cache, corpus, events, encode_items(run.model, run.cache, corpus))
    scale, losses = float(run.model.scale.detach()), []
    for rows in np.array_split(np.arange(len(events)), max(1, len(events) // 512)):
        logits = scale * (vectors.profiles[rows] @ vectors.items.T).astype(np.float64)
        top = logits.max(axis=1)
        total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        losses.append(total - logits[np.arange(len(rows)), corpus.event_item[events[rows]]])
    return np.concatenate(losses)


def _measure_ranking_loss(run: TrainedRun, corpus: Corpus, events: NDArray[np.int64]) -> NDArray[np.float64]:
    ranked = evaluation.rank_targets(run, corpus, events)
    chance = (ranked.click * (ranked.chosen.label & ranked.chosen.shown)).sum(axis=1)
    return -np.log(np.maximum(chance, _LOWEST_CHANCE))
