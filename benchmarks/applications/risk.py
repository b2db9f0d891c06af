"""Financial risk: what a policy on a risk trait keeps away, on a synthetic label.

The label is drawn by docs/examples/applications/draw_missed_instalments.py, and the chance that it is drawn with is
known: no model can order shoppers better than that does. What is shown is how much of it the trait recovers and that
the policy holds, not that shopping tells of payments.
"""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.applications import client_calls as asking
from benchmarks.applications import trait_test as moments
from benchmarks.applications.tables import Figure, Table, bootstrap_mean, to_figure
from docs.examples.applications import financial_risk as example
from portrait.client import Consent, Purpose, Ranking
from portrait.training.dataset import readers
from portrait.training.run import run as runs
from portrait.training.traits import declarations, metrics


def measure(repository: Path, run: Path, traits: Path, complete_until: datetime) -> Table:
    """Measure who would be shown credit at a past time, and how many of them missed an instalment after it."""
    asked = moments.draw_latest(runs.load_run(run), traits, example.TRAIT, complete_until)
    offers = example.read_products()
    with asking.open_client(repository) as portrait:
        portrait.upsert_items([product.item for product in offers], catalogue=example.CATALOGUE)
        found = asking.get_profiles(portrait, asked.histories, asked.as_of)
        granted = [Consent(Purpose.RISK, granted=True)]
        asking.call_all(lambda name: portrait.set_consents(name, granted), asked.shoppers)
        allowed = asking.call_all(lambda name: example.is_risk_allowed(portrait, name), asked.shoppers)
        risks = [
            example.read_risk(found[name].traits) if may else None
            for name, may in zip(asked.shoppers, allowed, strict=True)
        ]
        rankings = asking.call_all(
            lambda pair: example.rank_products(portrait, asked.histories[pair[0]], pair[1], offers, asked.as_of),
            list(zip(asked.shoppers, risks, strict=True)),
        )
    broken = sum(_breaks_policy(ranking, chance, offers) for ranking, chance in zip(rankings, risks, strict=True))
    if broken:
        raise AssertionError(f"{broken} rankings show what the policy holds back")
    known = np.array([1.0 if chance is None else chance for chance in risks])
    rows: dict[str, list[Figure | None]] = {}
    for name, chances in {
        "the trait": known,
        "RFM": asked.rfm,
        "the chance of the draw: the most that can be known": _read_drawn_chances(traits, asked),
    }.items():
        auc = to_figure(metrics.summarise(chances, asked.label, asked.row)["auc"])
        rows[f"AUC of {name}"] = [auc, None, None]
    rows["everybody"] = [None, Figure(1.0, form=".0%"), bootstrap_mean(asked.label.astype(float), asked.row, ".1%")]
    for limit in sorted({each.highest_risk for each in offers if each.highest_risk is not None}):
        shown = known <= limit
        rows[f"shown credit of the limit {limit:.0%}"] = [
            None,
            bootstrap_mean(shown.astype(float), asked.row, ".0%"),
            _measure_missed(shown, asked) if shown.any() else None,
        ]
    return Table(
        "Financial risk: credit under a policy, on a synthetic label",
        f"{len(asked.shoppers):,} shoppers as of a day. Whether they miss an instalment within {asked.horizon_days} "
        "days is **drawn**, not observed: `draw_missed_instalments.py` says with what chance. So this shows that a "
        "team's own table becomes a calibrated trait and a policy that holds; it does not show that shopping foresees "
        f"real payments. In {len(rankings):,} rankings of `financial_products` none showed what the policy holds back.",
        ["AUC", "shoppers", "of them missed"],
        rows,
    )


def _breaks_policy(ranking: Ranking, chance: float | None, offers: list[example.Product]) -> bool:
    held = {product.item.item_id for product in offers if not product.may_be_shown(chance)}
    return any(ranked.item.item_id in held for ranked in ranking.items)


def _read_drawn_chances(traits: Path, asked: moments.TraitTest) -> NDArray[np.float64]:
    """`[shoppers]`: the chance that the label within the horizon was drawn with."""
    trait = next(each for each in declarations.read_declarations(traits).traits if each.name == example.TRAIT)
    assert trait.table is not None
    until = asked.as_of + timedelta(days=asked.horizon_days)
    table = readers.read_parquet(trait.table).filter((pl.col("time") > asked.as_of) & (pl.col("time") <= until))
    chances = dict(table.group_by("shopper_id").agg(pl.col("chance").max()).iter_rows())
    return np.array([chances[name] for name in asked.shoppers])


def _measure_missed(shown: NDArray[np.bool_], asked: moments.TraitTest) -> Figure:
    return to_figure(
        metrics.estimate_with_interval(
            lambda weights: float((weights * (shown & asked.label)).sum() / max(1.0, (weights * shown).sum())),
            asked.row,
        ),
        ".1%",
    )
