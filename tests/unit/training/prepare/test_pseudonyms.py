"""Pseudonyms: keyed hashes stand in the place of ids, in every table, by every engine and every source."""

import hashlib
import hmac
from pathlib import Path

import polars as pl
import pytest
from support.prepared_data import WriteLog

from portrait.features.logs.identifiers import MAX_ID_CHARACTERS
from portrait.features.logs.pseudonym_keys import PseudonymKey
from portrait.features.logs.shopper_hashes import PLAIN, ShopperHasher
from portrait.training.dataset.readers import parquet_relation
from portrait.training.errors import TrainingError
from portrait.training.prepare import currencies, deletions
from portrait.training.prepare.cleanup import CleanupLimits
from portrait.training.prepare.engine import copy_to_parquet, open_engine
from portrait.training.prepare.parts import Part
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.pseudonyms import read_key
from portrait.training.prepare.report import Report
from portrait.training.prepare.sources import SOURCES
from portrait.training.prepare.spark.tasks import Scratch, clean_shard, read_part

SECRET = "00" * 31 + "01"
OTHER_SECRET = "00" * 31 + "02"
KEY = PseudonymKey("2026-11", bytes.fromhex(SECRET))
LONG = "much-too-long-" * 20
LOG = f"""event_id,shopper_id,type,time,item_id,price
ann-1,ann,view,2026-01-01T10:00:00Z,lamp,
ann-2, ann ,purchase,2026-01-02T10:00:00Z,lamp,5
ann-2,ann,purchase,2026-01-02T10:00:00Z,lamp,5
,灯 o'ann,view,2026-01-01T10:00:00Z,lamp,
灯-2,灯 o'ann,purchase,2026-03-01T10:00:00Z,lamp,-1
bob-1,bob,view,2026-01-01T10:00:00Z,rug,
long-1,{LONG},view,2026-01-01T10:00:00Z,rug,
,,view,2026-01-01T10:00:00Z,rug,
"""
SHOPPERS = "shopper_id,region\nann,US-CA\n灯 o'ann,US-NY\nbob,US-TX\n"
RAW_IDS = ("ann", "bob", "灯", "much-too-long", "long-1")


def prepare(
    log: Path,
    output: Path,
    key: PseudonymKey | None,
    without: Path | None = None,
    hasher: ShopperHasher = PLAIN,
) -> Report:
    return prepare_data_set(
        "events",
        lambda connection: SOURCES["events"].load(connection, log),
        output,
        without=without,
        key=key,
        hasher=hasher,
    )


def write_list(folder: Path, *shoppers: str) -> Path:
    file = folder / "forgotten.csv"
    rows = (f"{hashlib.sha256(shopper.encode()).hexdigest()},2026-02-01T00:00:00Z" for shopper in shoppers)
    file.write_text("\n".join(["shopper_sha256,forgotten_at", *rows]) + "\n", encoding="utf-8")
    return file


def test_a_pseudonym_by_hand() -> None:
    message = b"shopper_id:" + hashlib.sha256(b"ann").hexdigest().encode()
    assert KEY.make_pseudonym("ann") == hmac.digest(bytes.fromhex(SECRET), message, "sha256").hex()
    assert KEY.make_pseudonym("ann") != KEY.make_pseudonym("ann", "event_id")
    assert KEY.make_pseudonym("ann") != PseudonymKey("other", bytes.fromhex(OTHER_SECRET)).make_pseudonym("ann")
    assert SECRET not in repr(KEY)
    assert "secret" not in repr(KEY)


def test_the_data_set_is_the_same_but_for_the_ids(write_log: WriteLog, tmp_path: Path) -> None:
    log = write_log(events_csv=LOG, shoppers_csv=SHOPPERS)
    plain, keyed = prepare(log, tmp_path / "plain", None), prepare(log, tmp_path / "keyed", KEY)
    assert (plain.pseudonym_key, keyed.pseudonym_key) == (None, "2026-11")
    assert keyed.rejected == plain.rejected == {
        "duplicate_id": 1, "impossible_id": 1, "impossible_price": 1, "missing_shopper": 1,
    }  # fmt: skip
    assert (keyed.kept, keyed.missing, keyed.joins) == (plain.kept, plain.missing, plain.joins)
    for table in ("events", "shoppers", "rejected"):
        before, after = (pl.read_parquet(tmp_path / name / f"{table}.parquet") for name in ("plain", "keyed"))
        expected = before.with_columns(
            pl.col("shopper_id").map_elements(_expected_pseudonym, pl.String, skip_nulls=True)
        )
        same = [column for column in before.columns if column != "event_id"]
        assert sorted(map(repr, after.select(same).rows())) == sorted(map(repr, expected.select(same).rows()))
    for file in (tmp_path / "keyed").iterdir():
        text = repr(pl.read_parquet(file).rows()) if file.suffix == ".parquet" else file.read_text(encoding="utf-8")
        assert [raw for raw in RAW_IDS if raw in text] == [], file.name


def _expected_pseudonym(shopper_id: str) -> str:
    pseudonym = KEY.make_pseudonym(shopper_id)
    return pseudonym * 3 if len(shopper_id) > MAX_ID_CHARACTERS["shopper_id"] else pseudonym


def test_who_was_forgotten_is_left_out_under_a_pseudonym_too(write_log: WriteLog, tmp_path: Path) -> None:
    log = write_log(events_csv=LOG, shoppers_csv=SHOPPERS)
    without = write_list(tmp_path, "ann", "灯 o'ann")
    plain, keyed = (prepare(log, tmp_path / str(key), key, without) for key in (None, KEY))
    assert keyed.forgotten == plain.forgotten == 4
    assert keyed.rejected == plain.rejected
    kept = pl.read_parquet(tmp_path / str(KEY) / "shoppers.parquet")
    assert kept["shopper_id"].to_list() == [KEY.make_pseudonym("bob")]


def test_tasks_of_spark_leave_no_id_behind(write_log: WriteLog, tmp_path: Path) -> None:
    log = write_log(events_csv=LOG)
    expected = prepare(log, tmp_path / "local", KEY)
    scratch = Scratch(tmp_path / "scratch")
    scratch.folder.mkdir()
    scratch.make()
    assert read_part(scratch, 0, Part(log / "events.csv", "events.csv"), KEY) == []
    with open_engine(tmp_path) as connection:
        currencies.add_counts(connection, "events", "currency", parquet_relation(scratch.typed))
        deletions.load_deletions(connection, None)
        copy_to_parquet(connection, "SELECT * FROM forgotten", scratch.forgotten)
        copy_to_parquet(connection, f"SELECT * FROM {currencies.COUNTS_TABLE}", scratch.currencies)
    [shard] = scratch.typed.iterdir()
    clean_shard(scratch, 0, shard, CleanupLimits())
    written, local = pl.read_parquet(scratch.events), pl.read_parquet(tmp_path / "local" / "events.parquet")
    assert written.rows() == local.rows()
    assert len(written) == expected.kept
    for table in (scratch.typed, scratch.judged, scratch.events):
        text = repr(pl.read_parquet(table).rows())
        assert [raw for raw in RAW_IDS if raw in text] == [], table.name


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("current = ", "can't be read as TOML"),
        ('key = "a"', "there is no field 'key'"),
        ('current = "a"', "'keys' must be a table"),
        ('current = "a"\n[keys]\n', "'keys' must be a table"),
        ('current = "a"\n[keys]\na = "12"', "the secret of the key 'a' must be 64 hexadecimal digits or more"),
        ('current = "a"\n[keys]\na = 12', "the secret of the key 'a' must be 64 hexadecimal digits or more"),
        (f'current = "a"\n[keys]\na = "{"zz" * 32}"', "the secret of the key 'a' must be 64 hexadecimal digits"),
        (f'current = "a"\n[keys]\n"a b" = "{SECRET}"', "the id 'a b' of a key must be"),
        (f'current = "b"\n[keys]\na = "{SECRET}"', "'current' must name one of the keys a, not 'b'"),
        (f'[keys]\na = "{SECRET}"', "'current' must name one of the keys a, not None"),
        (f'current = ["a"]\n[keys]\na = "{SECRET}"', "'current' must name one of the keys a, not ['a']"),
        (f'current = "a"\n[keys]\na = "{SECRET}"\nb = "{SECRET}"', "the same secret twice"),
    ],
)
def test_a_wrong_key_file_is_told(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(TrainingError) as caught:
        read_key(file)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_old_key_is_read_by_its_id(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'current = "new"\n[keys]\nnew = "{SECRET}"\n"2025-1" = "{OTHER_SECRET}"\n', encoding="utf-8")
    assert read_key(file) == PseudonymKey("new", bytes.fromhex(SECRET))
    assert read_key(file, "2025-1") == PseudonymKey("2025-1", bytes.fromhex(OTHER_SECRET))


@pytest.mark.parametrize("key", [None, KEY])
def test_a_list_of_keyed_hashes_is_as_good_as_a_plain_one(
    write_log: WriteLog, tmp_path: Path, key: PseudonymKey | None
) -> None:
    """By the keys of the gateway, whether the data set has pseudonyms by another key or none."""
    log = write_log(events_csv=LOG + "eve-1,eve,view,2026-01-01T10:00:00Z,rug,\n", shoppers_csv=SHOPPERS)
    old, new = (PseudonymKey(name, bytes([number]) * 32) for name, number in (("old", 8), ("new", 9)))
    hasher = ShopperHasher([new, old])
    known = {"ann": 0, "灯 o'ann": 1, "nobody": 0, "eve": 2}  # by the new key, the old one, or none
    forgotten = [hasher.list_hashes(shopper)[place] for shopper, place in known.items()]
    file = tmp_path / "keyed.csv"
    rows = [f"{each},2026-02-01T00:00:00Z" for each in forgotten]
    file.write_text("\n".join(["shopper_sha256,forgotten_at", *rows]) + "\n", encoding="utf-8")
    by_keys = prepare(log, tmp_path / "keyed", key, file, hasher)
    plain = prepare(log, tmp_path / "plain", key, write_list(tmp_path, *known))
    assert by_keys.rejected == plain.rejected
    assert by_keys.forgotten == plain.forgotten > 0
    for name in ("events.parquet", "shoppers.parquet", "rejected.parquet"):
        assert pl.read_parquet(tmp_path / "keyed" / name).equals(pl.read_parquet(tmp_path / "plain" / name))
    for lacking in (PLAIN, ShopperHasher([new])):
        with pytest.raises(TrainingError, match=rf"{old.fingerprint}.*--deletion-keys"):
            prepare(log, tmp_path / "lacking", key, file, lacking)
