"""Traits against what came true: by the real engine, as of the moment of the outcomes, without reviews."""

from collections.abc import AsyncIterator, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from portrait.features.events import Event, EventType
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table_builder import build_table
from portrait.server.audiences.trait_calibration import write_calibrations
from portrait.server.audiences.trait_check import check_traits
from portrait.server.audiences.trait_outcomes import OutcomesError, TraitOutcomes
from portrait.server.engine import Engine
from portrait.server.profiles.compute import compute_profile
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent, Store

AS_OF = datetime(2026, 5, 1, 12, tzinfo=UTC)
SHOPPERS = [f"s{number}" for number in range(70)]


async def everybody_but_one(shopper_ids: Sequence[str]) -> Set[str]:
    return set(shopper_ids) - {"s0"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Everybody bought a lamp before the moment, and came back after it."""
    opened = await open_store(tmp_path / "portrait.db")
    for nth, shopper in enumerate(SHOPPERS):
        times = (AS_OF - timedelta(days=1 + nth % 30), AS_OF + timedelta(days=3))
        events = [Event(f"{shopper}-{each}", EventType.PURCHASE, each, "desk-lamp-red", price=10.0) for each in times]
        await opened.record([RecordedEvent(shopper, each) for each in events])
    yield opened
    await opened.close()


def outcomes(as_of: datetime = AS_OF, true: int = 35) -> TraitOutcomes:
    sample = [(shopper, nth < true) for nth, shopper in enumerate([*SHOPPERS, "unknown"])]
    return TraitOutcomes(as_of, len(sample), sample)


async def test_what_was_stated_is_compared_with_what_came_true(
    engine_with_traits: Engine, store: Store, tmp_path: Path
) -> None:
    given = {"buys": outcomes(), "lapses": outcomes(true=7), "rare": outcomes()}
    [found] = await check_traits(engine_with_traits, store, everybody_but_one, given)  # 6 positives are too few
    stated = []
    for shopper in SHOPPERS[1:]:
        history = await store.history(shopper, AS_OF, 100)
        profile = await compute_profile(engine_with_traits, history, AS_OF, fields=frozenset({"traits"}), deadline=None)
        stated += [each.probability for each in profile.traits if each.trait.name == "buys"]
    assert (found.trait, found.as_of, found.shoppers) == ("buys", AS_OF.isoformat(), 69)
    assert found.stated == pytest.approx(np.mean(stated), abs=1e-6)
    assert found.observed == pytest.approx(34 / 69)
    assert found.low < found.excess < found.high

    snapshots = TableSnapshots(tmp_path / "audiences", store.identity)
    await build_table(engine_with_traits, store, snapshots, everybody_but_one, as_of=AS_OF)
    write_calibrations([found], snapshots.release_folder(engine_with_traits.release.identity))
    table = await build_table(engine_with_traits, store, snapshots, everybody_but_one, as_of=AS_OF)
    assert [each["trait"] for each in table.description.calibrations] == ["buys"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"other": outcomes()}, "has no trait other"),
        ({"buys": outcomes(datetime(2025, 12, 1, tzinfo=UTC))}, "its test reaches until 2026-01-01"),
        ({"buys": outcomes(datetime.max.replace(tzinfo=UTC))}, "the 30 days after 9999-12-31.* are not over"),
        ({"buys": TraitOutcomes(AS_OF, 1, [("unknown", True)])}, "no probability of any shopper"),
    ],
)
async def test_outcomes_that_do_not_fit_are_refused(
    engine_with_traits: Engine, store: Store, given: dict[str, TraitOutcomes], message: str
) -> None:
    with pytest.raises(OutcomesError, match=message):
        await check_traits(engine_with_traits, store, everybody_but_one, given)
