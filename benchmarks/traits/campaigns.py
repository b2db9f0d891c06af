"""Coupon redemption on The Complete Journey: p(redeem | shopper, campaign), by Portrait, popularity and RFM."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.campaigns import (
    Campaign,
    Pairs,
    predict_by_popularity,
    read_campaigns,
    read_pairs,
    split_campaigns,
)
from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS
from portrait.features.histories.statistics import RFM, STATISTICS
from portrait.training.dataset.corpus import Corpus
from portrait.training.run.run import TrainedRun
from portrait.training.traits import head_selection, metrics, samples
from portrait.training.traits.head_selection import LabelledInputs
from portrait.training.traits.samples import HeadInputs

NEAREST_PRODUCTS = 50
"""Number of a campaign's nearest products over which a shopper's affinity is averaged."""
_AFFINITIES = (
    "to all products",
    "to the nearest products",
    "products bought",
    "share of the campaign's products bought",
)
_CAMPAIGN = ("type A", "type B", "type C", "products")


def measure(trained: TrainedRun, folder: Path) -> dict[str, Any]:
    """Measure redemption in the test campaigns, against popularity and RFM.

    Args:
        trained: a run on the data set's purchases, of `--split time`.
        folder: the package's tables.

    Raises:
        TrainingError: the run is of other data.
    """
    corpus = trained.corpus
    campaigns = read_campaigns(folder, corpus)
    pairs = read_pairs(folder, corpus)
    learnt = float(corpus.columns.time[trained.holdout.train].max())
    parts = split_campaigns(campaigns, learnt)
    drawn = [pairs.of([campaign.number for campaign in part]) for part in parts]
    told = [_make_inputs(trained, campaigns, part) for part in drawn]
    train, validation, test = (LabelledInputs(known, part.label) for known, part in zip(told, drawn, strict=True))
    columns = _select_columns(trained.settings.dimension)
    fitted = {name: head_selection.fit_linear_head(chosen, train, validation, 0) for name, chosen in columns.items()}
    ours = min(("Portrait, affinities", "Portrait, affinities and profile"), key=lambda name: fitted[name].log_loss)
    chances = {name: head_selection.predict_probabilities(each.head, test.known) for name, each in fitted.items()}
    chances["popularity"] = predict_by_popularity(campaigns, drawn[0], drawn[2])
    label, who = test.label, drawn[2].shopper
    shown = ("popularity", "RFM", "RFM and campaign", ours)
    return {
        "parts": {
            name: {
                "campaigns": [campaign.number for campaign in part],
                "pairs": len(of.label),
                "redeemed": int(of.label.sum()),
            }
            for name, part, of in zip(("train", "validation", "test"), parts, drawn, strict=True)
        },
        "validation_log_loss": {name: each.log_loss for name, each in fitted.items()},
        "chosen": ours,
        "test": {name: metrics.summarise(chances[name], label, who) for name in shown},
        "portrait_minus_this": {
            name: metrics.auc_difference(chances[ours], chances[name], label, who) for name in shown[:-1]
        },
        "reliability": [vars(point) for point in metrics.reliability_points(chances[ours], label)],
    }


def _make_inputs(trained: TrainedRun, campaigns: Sequence[Campaign], pairs: Pairs) -> HeadInputs:
    """Make the inputs of each pair: the shopper's statistics, affinities to the campaign, the campaign, the profile."""
    corpus, vectors = trained.corpus, trained.index.vectors
    by_number = {campaign.number: campaign for campaign in campaigns}
    starts = np.array([by_number[number].start for number in pairs.campaign.tolist()])
    begun = corpus.columns.time[corpus.starts[pairs.shopper]] <= starts
    # Who bought nothing before is known as one who came on the first day.
    as_of = np.where(begun, starts, corpus.columns.time[corpus.starts[pairs.shopper]])
    known = samples.compute_head_inputs(trained.model, trained.cache, corpus, pairs.shopper, as_of)
    affinities = np.zeros((len(starts), len(_AFFINITIES) + len(_CAMPAIGN)), dtype=np.float32)
    for row, (shopper, number, profile) in enumerate(zip(pairs.shopper, pairs.campaign, known.profile, strict=True)):
        campaign = by_number[int(number)]
        near = vectors[campaign.products] @ profile
        nearest = np.sort(near)[-NEAREST_PRODUCTS:]
        bought = np.isin(_list_bought(corpus, int(shopper), campaign.start), campaign.products)
        affinities[row] = [
            near.mean(), nearest.mean(), np.log1p(bought.sum()), bought.mean() if len(bought) else 0.0,
            *(campaign.kind == kind for kind in "ABC"), np.log1p(len(campaign.products)),
        ]  # fmt: skip
    return HeadInputs(known.profile, np.concatenate([known.statistics, affinities, known.profile], axis=1))


def _list_bought(corpus: Corpus, shopper: int, as_of: float) -> NDArray[np.int64]:
    """List the items of the shopper's latest remembered events up to a time."""
    start, end = corpus.starts[shopper : shopper + 2]
    end = start + np.searchsorted(corpus.columns.time[start:end], as_of, side="right")
    return corpus.event_item[max(start, end - MAX_REMEMBERED_EVENTS) : end]


def _select_columns(dimension: int) -> dict[str, list[int]]:
    """List the columns of the inputs that each model reads."""
    statistics = list(range(len(STATISTICS)))
    affinities = list(range(len(STATISTICS), len(STATISTICS) + len(_AFFINITIES)))
    campaign = list(range(affinities[-1] + 1, affinities[-1] + 1 + len(_CAMPAIGN)))
    profile = list(range(campaign[-1] + 1, campaign[-1] + 1 + dimension))
    rfm = [STATISTICS.index(name) for name in RFM]
    return {
        "RFM": rfm,
        "RFM and campaign": rfm + campaign,
        "Portrait, affinities": statistics + affinities + campaign,
        "Portrait, affinities and profile": statistics + affinities + campaign + profile,
    }
