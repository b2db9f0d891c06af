"""Ads: the probability that a household redeems a coupon of a campaign that it is sent."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.applications import client_calls as asking
from benchmarks.applications.tables import Figure, Table, to_figure
from benchmarks.common import campaigns as protocol
from docs.examples.applications import ads as example
from docs.examples.applications import shop
from portrait.client import Client
from portrait.training.prepare.sources import complete_journey
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun
from portrait.training.traits import metrics

_RIDGES = (0.1, 1.0, 10.0, 100.0)
_TRAIN_PAIRS = 1500
"""Number of randomly drawn earlier pairs that the regression learns from; it has few weights."""


def measure(repository: Path, run: Path) -> Table:
    """Measure redemption with the gateway's responses as inputs; the latest campaigns are the test."""
    trained = runs.load_run(run)
    folder = complete_journey.find_installed()
    campaigns = protocol.read_campaigns(folder, trained.corpus)
    pairs = protocol.read_pairs(folder, trained.corpus)
    learnt = float(trained.corpus.columns.time[trained.holdout.train].max())
    drawn = [pairs.of([campaign.number for campaign in part]) for part in protocol.split_campaigns(campaigns, learnt)]
    drawn[0] = _draw_pairs(drawn[0])
    with asking.open_client(repository) as portrait:
        told = [_make_inputs(portrait, trained, campaigns, part) for part in drawn]
    train, validation, test = drawn
    fitted = [example.Redemption.fit(told[0], train.label, ridge) for ridge in _RIDGES]
    best = min(fitted, key=lambda model: _compute_log_loss(model.predict(told[1]), validation.label))
    ours, others = best.predict(told[2]), protocol.predict_by_popularity(campaigns, train, test)
    rows: dict[str, list[Figure | None]] = {}
    for name, chances in (("Portrait", ours), ("popularity of the type of campaign", others)):
        summary = metrics.summarise(chances, test.label, test.shopper)
        rows[name] = [to_figure(summary["auc"]), to_figure(summary["calibration_error"])]
    difference = metrics.auc_difference(ours, others, test.label, test.shopper)
    rows["Portrait minus popularity"] = [to_figure(difference, "+.3f"), None]
    sent = len(np.unique(test.campaign))
    return Table(
        "Ads: p(redeem | shopper, campaign)",
        f"The Complete Journey (its publisher calls it simulated): {len(test.label):,} pairs of a household and one "
        f"of {sent} campaigns it was sent, {int(test.label.sum()):,} of them redeemed. A logistic regression on "
        f"`Rank` of the campaign's products, `GetProfile` and the history, learnt from {len(train.label):,} earlier "
        "pairs; its ridge is chosen on campaigns between. [traits.md](traits.md) has the same campaigns with the "
        "model's inputs at hand, and RFM. Intervals are over households.",
        ["AUC", "calibration error"],
        rows,
    )


def _make_inputs(
    portrait: Client, trained: TrainedRun, campaigns: list[protocol.Campaign], pairs: protocol.Pairs
) -> NDArray[np.float64]:
    """`[pairs, inputs]`."""
    corpus = trained.corpus
    known = {
        campaign.number: (
            datetime.fromtimestamp(campaign.start, UTC),
            example.Campaign(
                str(campaign.number), campaign.kind, [corpus.items[row].item_id for row in campaign.products.tolist()]
            ),
        )
        for campaign in campaigns
    }
    names = [corpus.shopper_ids[row] for row in pairs.shopper.tolist()]
    histories = shop.read_histories(Path(trained.data["path"]), set(names))

    def told(pair: tuple[str, int]) -> NDArray[np.float64]:
        start, campaign = known[pair[1]]
        return example.make_inputs(portrait, shop.select_until(histories[pair[0]], start), [campaign], start)

    return np.concatenate(asking.call_all(told, list(zip(names, pairs.campaign.tolist(), strict=True))))


def _draw_pairs(pairs: protocol.Pairs) -> protocol.Pairs:
    rows = np.random.default_rng(0).permutation(len(pairs.label))[:_TRAIN_PAIRS]
    return protocol.Pairs(pairs.shopper[rows], pairs.campaign[rows], pairs.label[rows])


def _compute_log_loss(chances: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    return float(-np.log(np.where(label, chances, 1.0 - chances)).mean())
