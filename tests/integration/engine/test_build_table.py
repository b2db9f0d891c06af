"""The audience table, by the real engine: what GetProfile says, made in parts, gone on with, and brought up to date."""

import asyncio
from collections.abc import AsyncIterator, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from portrait.features.events import Event, EventType
from portrait.server.audiences import table_builder
from portrait.server.audiences.build_plan import Shard, TableBuildError
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table import AudienceTable, list_columns
from portrait.server.audiences.table_builder import build_shard, build_table
from portrait.server.engine import Engine
from portrait.server.profiles.compute import compute_profile
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent, Store
from portrait.server.timestamps import from_microseconds

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ITEMS = ("desk-lamp-red", "wool-rug-blue", "frying-pan-black")
FIELDS = frozenset({"interests", "customer_value", "embedding", "traits"})


async def everybody(shopper_ids: Sequence[str]) -> Set[str]:
    return set(shopper_ids)


def bought(shopper: str, nth: int, item: str, days: int = 3) -> RecordedEvent:
    time = NOW - timedelta(days=days, hours=nth)
    return RecordedEvent(shopper, Event(f"{shopper}-{nth}-{item}", EventType.PURCHASE, time, item, price=10.0 + nth))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "portrait.db")
    await opened.record(
        [bought(f"s{number:02}", nth, ITEMS[(number + nth) % 3]) for number in range(20) for nth in range(3)]
    )
    yield opened
    await opened.close()


@pytest.fixture
def snapshots(store: Store, tmp_path: Path) -> TableSnapshots:
    return TableSnapshots(tmp_path / "audiences", store.identity)


def names(table: AudienceTable) -> list[str]:
    return table.shopper_ids(slice(0, len(table)))


async def test_a_row_says_what_the_profile_says(
    engine_with_traits: Engine, store: Store, snapshots: TableSnapshots
) -> None:
    table = await build_table(engine_with_traits, store, snapshots, everybody, as_of=NOW)
    assert names(table) == [f"s{number:02}" for number in range(20)]
    assert table.description.traits == ["lapses", "buys"]
    for row, shopper in enumerate(names(table)):
        history = await store.history(shopper, NOW, 100)
        said = await compute_profile(engine_with_traits, history, NOW, fields=FIELDS, deadline=None)
        assert said.embedding is not None
        assert said.customer_value is not None
        assert table["vector"][row] == pytest.approx(said.embedding, abs=1e-3)
        assert from_microseconds(int(table["as_of"][row])) == NOW
        assert from_microseconds(int(table["last_event"][row])) == said.last_event_time
        assert (table["tier"][row], table["segment"][row]) == (
            said.customer_value.tier.value,
            said.customer_value.segment.value,
        )
        learnt = [each.probability for each in said.traits if not each.trait.absent]
        assert table["trait"][row] == pytest.approx(learnt, abs=1e-5)
        interests = {
            table.decode_path(place): weight
            for place, weight in zip(table["interest_path"][row], table["interest_weight"][row], strict=True)
            if place
        }
        assert interests == pytest.approx(
            {each.category_path: each.long_term_weight for each in said.interests if not each.inferred}
        )


async def test_a_run_brings_the_last_table_up_to_date(engine: Engine, store: Store, snapshots: TableSnapshots) -> None:
    before = await build_table(engine, store, snapshots, everybody, as_of=NOW)
    computed = []
    await store.record([bought("s05", 9, ITEMS[0], days=0), bought("a new one", 0, ITEMS[1])])

    async def most(shopper_ids: Sequence[str]) -> Set[str]:
        return set(shopper_ids) - {"s07"}

    later = NOW + timedelta(days=1)
    after = await build_table(
        engine, store, snapshots, most, as_of=later, tell=lambda progress: computed.append(progress.shoppers)
    )
    assert computed == [2]
    assert names(after) == sorted({*names(before), "a new one"} - {"s07"})
    as_of = {shopper: from_microseconds(int(each)) for shopper, each in zip(names(after), after["as_of"], strict=True)}
    assert {shopper for shopper, each in as_of.items() if each == later} == {"s05", "a new one"}
    kept = [shopper for shopper in names(after) if as_of[shopper] == NOW]
    assert np.array_equal(after["vector"][after.find_rows(kept)], before["vector"][before.find_rows(kept)])
    whole = await build_table(engine, store, snapshots, everybody, as_of=later, full=True)
    assert set(whole["as_of"].tolist()) == {int(after.description.newest_as_of)}
    assert "s07" in names(whole)
    assert len(snapshots.list_numbers(engine.release.identity)) == 2


async def test_who_was_forgotten_stands_in_no_later_table(
    engine: Engine, store: Store, snapshots: TableSnapshots
) -> None:
    before = await build_table(engine, store, snapshots, everybody, as_of=NOW)
    for shopper in ("s03", "s04", "s05"):
        await store.forget(shopper, NOW)
    await store.record([bought("s04", 9, ITEMS[0], days=-1)])
    later = NOW + timedelta(days=2)

    async def asked_meanwhile(shopper_ids: Sequence[str]) -> Set[str]:
        if "s06" in shopper_ids:  # while rows that stay are looked at
            await store.forget("s06", later)
        return set(shopper_ids)

    after = await build_table(engine, store, snapshots, asked_meanwhile, as_of=later)
    assert set(names(after)) == set(names(before)) - {"s03", "s05", "s06"}
    [row] = after.find_rows(["s04"])
    assert from_microseconds(int(after["as_of"][row])) == later
    assert await store.forgotten_since(before.description.last_forgotten, names(before)) == {"s03", "s04", "s05", "s06"}
    assert await store.forgotten_since(after.description.last_forgotten, names(before)) == {"s06"}


async def test_a_run_that_was_cut_short_is_gone_on_with(
    engine: Engine, store: Store, snapshots: TableSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_builder, "PART_SHOPPERS", 6)
    asked: list[str] = []

    async def failing(shopper_ids: Sequence[str]) -> Set[str]:
        if len(asked) >= 12:
            raise ConnectionError
        asked.extend(shopper_ids)
        return set(shopper_ids)

    with pytest.raises(ConnectionError):
        await build_table(engine, store, snapshots, failing, as_of=NOW)
    assert snapshots.open_newest(engine.release.identity) is None
    computed: list[int] = []
    table = await build_table(
        engine, store, snapshots, everybody, as_of=NOW, tell=lambda progress: computed.append(progress.shoppers)
    )
    assert computed == [6, 8]
    assert len(names(table)) == 20
    folder = snapshots.release_folder(engine.release.identity)
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        ".lock-1-of-1",
        str(table.description.snapshot),
    ]


async def test_a_run_that_was_killed_while_it_wrote_is_begun_again(
    engine: Engine, store: Store, snapshots: TableSnapshots
) -> None:
    building = snapshots.release_folder(engine.release.identity) / ".building"
    for left in ("", '{"base": nu', "{}", "[1]"):
        building.mkdir(parents=True)
        (building / "plan.json").write_text(left, encoding="utf-8")
        (building / "000000").mkdir()
        (building / "000000" / "table.json").write_text("of nobody knows what", encoding="utf-8")
        assert len(await build_table(engine, store, snapshots, everybody, as_of=NOW, full=True)) == 20
        assert not building.exists()


async def test_a_run_that_was_killed_while_it_cleared_up_leaves_no_half_parts(
    engine: Engine, store: Store, snapshots: TableSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(table_builder.shutil, "rmtree", _killed_after_the_columns)
        with pytest.raises(InterruptedError):
            await build_table(engine, store, snapshots, everybody, as_of=NOW, full=True)
    assert len(await build_table(engine, store, snapshots, everybody, as_of=NOW, full=True)) == 20


def _killed_after_the_columns(folder: Path, ignore_errors: bool = False) -> None:
    columns = list(folder.rglob("0*/*.npy"))
    for column in columns:
        column.unlink()
    if columns:
        raise InterruptedError


async def test_one_run_at_a_time(engine: Engine, store: Store, snapshots: TableSnapshots) -> None:
    async def another(shopper_ids: Sequence[str]) -> Set[str]:
        with pytest.raises(TableBuildError):
            await build_table(engine, store, snapshots, everybody)
        return set(shopper_ids)

    await build_table(engine, store, snapshots, another)


async def test_shards_make_the_table_of_one_run_row_for_row(
    engine_with_traits: Engine, store: Store, snapshots: TableSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_builder, "PART_SHOPPERS", 3)
    engine, later = engine_with_traits, NOW + timedelta(days=1)

    async def failing(shopper_ids: Sequence[str]) -> Set[str]:
        raise ConnectionError

    async def build(number: int, as_of: datetime) -> AudienceTable | None:
        return await build_shard(engine, store, snapshots, everybody, Shard(number, 3), as_of=as_of)

    with pytest.raises(ConnectionError):
        await build_shard(engine, store, snapshots, failing, Shard(2, 3), as_of=NOW)
    assert [*await asyncio.gather(build(1, NOW), build(3, NOW))] == [None, None]
    assert await build(1, NOW) is None  # once more does no harm
    sharded = await build(2, NOW)
    whole = await build_table(engine, store, snapshots, everybody, full=True, as_of=NOW)
    assert sharded is not None
    assert sharded.description.paths == whole.description.paths
    for name in list_columns(whole.description, 1):
        if whole[name].dtype.kind == "f":
            np.testing.assert_allclose(sharded[name], whole[name], atol=1e-3)
        else:
            np.testing.assert_array_equal(sharded[name], whole[name])
    await store.record([bought(shopper, 9, ITEMS[0]) for shopper in ("s05", "s11")])
    [renewed] = [each for each in await asyncio.gather(*(build(number, later) for number in (1, 2, 3))) if each]
    assert names(renewed) == names(whole)
    assert renewed.shopper_ids(np.flatnonzero(renewed["as_of"] != whole["as_of"])) == ["s05", "s11"]


async def test_no_shard_is_computed_twice_at_a_time_nor_by_two_plans(
    engine: Engine, store: Store, snapshots: TableSnapshots
) -> None:
    async def another(shopper_ids: Sequence[str]) -> Set[str]:
        for shard in (Shard(1, 2), Shard(1, 3)):
            with pytest.raises(TableBuildError):
                await build_shard(engine, store, snapshots, everybody, shard)
        return set(shopper_ids)

    assert await build_shard(engine, store, snapshots, another, Shard(1, 2)) is None
    # Nobody is at work now: another plan may begin.
    assert len(await build_table(engine, store, snapshots, everybody)) == 20


async def test_a_shop_without_shoppers(engine: Engine, tmp_path: Path) -> None:
    nobody = await open_store(tmp_path / "nobody.db")
    snapshots = TableSnapshots(tmp_path / "audiences", nobody.identity)
    table = await build_table(engine, nobody, snapshots, everybody)
    assert len(table) == 0
    await nobody.record([bought("s", 0, ITEMS[0])])
    assert names(await build_table(engine, nobody, snapshots, everybody)) == ["s"]
    await nobody.close()


async def test_a_full_run_is_the_newest_though_the_clock_was_set_back_and_nobody_else_can_read_it(
    engine: Engine, store: Store, snapshots: TableSnapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await build_table(engine, store, snapshots, everybody, as_of=NOW)
    monkeypatch.setattr("portrait.server.audiences.table_builder.time.time_ns", lambda: 0)
    after = await build_table(engine, store, snapshots, everybody, full=True, as_of=NOW)
    newest = snapshots.open_newest(engine.release.identity)
    assert newest is not None
    assert newest.description.snapshot == after.description.snapshot == before.description.snapshot + 1
    folder = snapshots.release_folder(engine.release.identity)
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "audiences", folder)} == {0o700}
    files = [each for each in (folder / str(after.description.snapshot)).iterdir() if each.is_file()]
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
