"""Coupon redemption on The Complete Journey: p(redeem | shopper, campaign), for households that a campaign is sent to.

A sample is a household and a campaign that it received, at the day the campaign starts; it comes true if the household
redeems a coupon of the campaign. Households are known by what they bought before that day, campaigns by their type and
by the products of their coupons: nothing that is not known when the campaign is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.training.dataset import readers
from portrait.training.dataset.corpus import Corpus
from portrait.training.errors import TrainingError

VALIDATION_FROM = datetime(2017, 8, 1, tzinfo=UTC)
"""Start of validation, which ends before the test; the test begins where the encoders' data end."""
NEAREST = 50
"""Number of a campaign's nearest products over which a shopper's affinity is averaged."""
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
        """Return the pairs of some campaigns."""
        kept = np.isin(self.campaign, list(campaigns))
        return Pairs(self.shopper[kept], self.campaign[kept], self.label[kept])


@dataclass(frozen=True)
class Campaign:
    """Facts of a campaign that are known when it starts."""

    number: int
    kind: str
    start: float
    end: float
    products: NDArray[np.int64]
    """Rows of the corpus' items."""


def split_campaigns(campaigns: Sequence[Campaign], learnt: float) -> list[list[Campaign]]:
    """Split campaigns into training, validation and test; campaigns that overlap a later part are left out."""
    begins = [VALIDATION_FROM.timestamp(), learnt]
    test = [each for each in campaigns if each.start >= learnt]
    validation = [each for each in campaigns if begins[0] <= each.start and each.end < min(one.start for one in test)]
    train = [each for each in campaigns if each.end < min(one.start for one in validation)]
    return [train, validation, test]


def read_campaigns(folder: Path, corpus: Corpus) -> list[Campaign]:
    """Read all campaigns with their products, by start."""
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
    """Read which household received which campaign, and whether it redeemed a coupon of it."""
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


def predict_by_popularity(campaigns: Sequence[Campaign], train: Pairs, test: Pairs) -> NDArray[np.float64]:
    """Predict the redemption rate of earlier campaigns of the same type, the only fact of an unsent campaign."""
    kinds = {campaign.number: campaign.kind for campaign in campaigns}
    earlier = np.array([kinds[number] for number in train.campaign.tolist()])
    shares = {kind: float(train.label[earlier == kind].mean()) for kind in np.unique(earlier)}
    return np.array([shares.get(kinds[number], float(train.label.mean())) for number in test.campaign.tolist()])
