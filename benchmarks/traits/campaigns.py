"""Coupon redemption on The Complete Journey: p(redeem | shopper, campaign), for households that a campaign is sent to.

A sample is a household and a campaign that it received, at the day the campaign starts; it comes true if the household
redeems a coupon of the campaign. Households are known by what they bought before that day, campaigns by their type and
by the products of their coupons: nothing that is not known when the campaign is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS
from portrait.features.histories.statistics import RFM, STATISTICS
from portrait.training import readers
from portrait.training.corpus import Corpus
from portrait.training.errors import TrainingError
from portrait.training.run import TrainedRun
from portrait.training.traits import heads, measures, samples
from portrait.training.traits.heads import Part
from portrait.training.traits.samples import Known

VALIDATION_FROM = datetime(2017, 8, 1, tzinfo=UTC)
"""Campaigns that start later, and end before the test, are validation; the test begins where the encoders' data end."""
NEAREST = 50
"""Products of a campaign that a shopper's affinity is the mean over, the nearest ones."""
_AFFINITIES = (
    "to all products",
    "to the nearest products",
    "products bought",
    "share of the campaign's products bought",
)
_CAMPAIGN = ("type A", "type B", "type C", "products")


@dataclass(frozen=True)
class Pairs:
    """Households and campaigns."""

    shopper: NDArray[np.int64]
    campaign: NDArray[np.int64]
    label: NDArray[np.bool_]

    def of(self, campaigns: Sequence[int]) -> "Pairs":
        """Those of some campaigns."""
        kept = np.isin(self.campaign, list(campaigns))
        return Pairs(self.shopper[kept], self.campaign[kept], self.label[kept])


@dataclass(frozen=True)
class Campaign:
    """What is known of a campaign when it starts."""

    number: int
    kind: str
    start: float
    end: float
    products: NDArray[np.int64]
    """Rows of the corpus' items."""


def measure(trained: TrainedRun, folder: Path) -> dict[str, Any]:
    """Redemption in the test campaigns, against popularity and RFM.

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
    parts = split(campaigns, learnt)
    drawn = [pairs.of([campaign.number for campaign in part]) for part in parts]
    told = [_told(trained, campaigns, part) for part in drawn]
    train, validation, test = (Part(known, part.label) for known, part in zip(told, drawn, strict=True))
    columns = _columns(trained.settings.dimension)
    fitted = {name: heads.fit_linear(chosen, train, validation, 0) for name, chosen in columns.items()}
    ours = min(("Portrait, affinities", "Portrait, affinities and profile"), key=lambda name: fitted[name].log_loss)
    chances = {name: heads.probabilities(each.head, test.known) for name, each in fitted.items()}
    chances["popularity"] = popularity(campaigns, drawn[0], drawn[2])
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
        "test": {name: measures.summary(chances[name], label, who) for name in shown},
        "portrait_minus_this": {
            name: measures.auc_difference(chances[ours], chances[name], label, who) for name in shown[:-1]
        },
        "reliability": [vars(point) for point in measures.reliability(chances[ours], label)],
    }


def split(campaigns: Sequence[Campaign], learnt: float) -> list[list[Campaign]]:
    """Training, validation and test; campaigns whose time reaches into that of a later part are left out."""
    begins = [VALIDATION_FROM.timestamp(), learnt]
    test = [each for each in campaigns if each.start >= learnt]
    validation = [each for each in campaigns if begins[0] <= each.start and each.end < min(one.start for one in test)]
    train = [each for each in campaigns if each.end < min(one.start for one in validation)]
    return [train, validation, test]


def read_campaigns(folder: Path, corpus: Corpus) -> list[Campaign]:
    """All campaigns with their products, by start."""
    rows = {item_id: row for row, item_id in enumerate(corpus.item_ids)}
    coupons = readers.read_parquet(folder / "coupons.parquet").select("campaign_id", "product_id").unique()
    products: dict[int, list[int]] = {}
    for number, product in coupons.sort("campaign_id", "product_id").iter_rows():
        if (row := rows.get(str(product))) is not None:
            products.setdefault(number, []).append(row)
    if not products:
        raise TrainingError("the run knows no product of the campaigns: it must be trained on complete-journey")
    table = readers.read_parquet(folder / "campaign_descriptions.parquet").sort("start_date", "campaign_id")
    return [
        Campaign(
            row["campaign_id"],
            row["campaign_type"].removeprefix("Type "),
            row["start_date"].replace(tzinfo=UTC).timestamp(),
            row["end_date"].replace(tzinfo=UTC).timestamp(),
            np.array(products[row["campaign_id"]], dtype=np.int64),
        )
        for row in table.iter_rows(named=True)
    ]


def read_pairs(folder: Path, corpus: Corpus) -> Pairs:
    """Who received which campaign, and redeemed a coupon of it."""
    redeemed = (
        readers.read_parquet(folder / "coupon_redemptions.parquet").select("campaign_id", "household_id").unique()
    )
    sent = readers.read_parquet(folder / "campaigns.parquet").join(
        redeemed.with_columns(label=True), on=["campaign_id", "household_id"], how="left"
    )
    rows = {shopper_id: row for row, shopper_id in enumerate(corpus.shopper_ids)}
    known = [
        (rows[str(household)], campaign, label is not None)
        for campaign, household, label in sent.sort("campaign_id", "household_id").iter_rows()
        if str(household) in rows
    ]
    shopper, campaign, label = zip(*known, strict=True)
    return Pairs(np.array(shopper), np.array(campaign), np.array(label))


def _told(trained: TrainedRun, campaigns: Sequence[Campaign], pairs: Pairs) -> Known:
    """Of each pair: the shopper's statistics, the affinities to the campaign, the campaign, and the profile."""
    corpus, vectors = trained.corpus, trained.index.vectors
    by_number = {campaign.number: campaign for campaign in campaigns}
    starts = np.array([by_number[number].start for number in pairs.campaign.tolist()])
    begun = corpus.columns.time[corpus.starts[pairs.shopper]] <= starts
    # Who bought nothing before is known as one who came on the first day.
    as_of = np.where(begun, starts, corpus.columns.time[corpus.starts[pairs.shopper]])
    known = samples.known(trained.model, trained.cache, corpus, pairs.shopper, as_of)
    affinities = np.zeros((len(starts), len(_AFFINITIES) + len(_CAMPAIGN)), dtype=np.float32)
    for row, (shopper, number, profile) in enumerate(zip(pairs.shopper, pairs.campaign, known.profile, strict=True)):
        campaign = by_number[int(number)]
        near = vectors[campaign.products] @ profile
        nearest = np.sort(near)[-NEAREST:]
        bought = np.isin(_bought(corpus, int(shopper), campaign.start), campaign.products)
        affinities[row] = [
            near.mean(), nearest.mean(), np.log1p(bought.sum()), bought.mean() if len(bought) else 0.0,
            *(campaign.kind == kind for kind in "ABC"), np.log1p(len(campaign.products)),
        ]  # fmt: skip
    return Known(known.profile, np.concatenate([known.statistics, affinities, known.profile], axis=1))


def _bought(corpus: Corpus, shopper: int, as_of: float) -> NDArray[np.int64]:
    """Items of the shopper's latest remembered events up to a moment."""
    start, end = corpus.starts[shopper : shopper + 2]
    end = start + np.searchsorted(corpus.columns.time[start:end], as_of, side="right")
    return corpus.event_item[max(start, end - MAX_REMEMBERED_EVENTS) : end]


def _columns(dimension: int) -> dict[str, list[int]]:
    """What each model reads of what is told."""
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


def popularity(campaigns: Sequence[Campaign], train: Pairs, test: Pairs) -> NDArray[np.float64]:
    """The share of those who redeemed earlier campaigns of the same type: all that is known of one not yet sent."""
    kinds = {campaign.number: campaign.kind for campaign in campaigns}
    earlier = np.array([kinds[number] for number in train.campaign.tolist()])
    shares = {kind: float(train.label[earlier == kind].mean()) for kind in np.unique(earlier)}
    return np.array([shares.get(kinds[number], float(train.label.mean())) for number in test.campaign.tolist()])
