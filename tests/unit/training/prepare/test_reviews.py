"""Reviews of the gateway are honoured by the data set: what people blocked is not learnt from."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from support.prepared_data import WriteLog
from support.review_lines import review_line

from portrait.training.errors import DataError
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.pseudonyms import PseudonymKey
from portrait.training.prepare.reviews import TraitReview, read_trait_reviews
from portrait.training.prepare.sources import events

ITEMS = """item_id,title,category_path,brand
desk,Desk lamp,Home > Lamps,Ikea
floor,Floor lamp,Home > Lamps,Acme
rug,Rug,Home > Rugs,Acme
pan,Pan,Kitchen,Acme
"""
LOG = "shopper_id,type,time,item_id\n" + "".join(
    f"{shopper},view,2026-01-01T1{hour}:00:00Z,{item}\n"
    for shopper, items in {"ann": ("desk", "floor", "rug"), "bob": ("desk", "pan"), "cyd": ("pan", "rug")}.items()
    for hour, item in enumerate(items)
)
ALL = {"ann": {"desk", "floor", "rug"}, "bob": {"desk", "pan"}, "cyd": {"pan", "rug"}}


def kept(write_log: WriteLog, tmp_path: Path, *reviews: str, key: PseudonymKey | None = None) -> dict[str, set[str]]:
    folder, output, file = write_log(events_csv=LOG, items_csv=ITEMS), tmp_path / "data", tmp_path / "reviews.jsonl"
    file.write_text("".join(f"{each}\n" for each in reviews), encoding="utf-8")
    report = prepare_data_set(
        "events", lambda connection: events.load(connection, folder), output, key=key, reviews=file
    )
    rows = pl.read_parquet(output / "events.parquet").select("shopper_id", "item_id").rows()
    assert report.kept == len(rows) == 7 - report.rejected.get("blocked", 0)
    return {shopper: {item for each, item in rows if each == shopper} for shopper in sorted({row[0] for row in rows})}


@pytest.mark.parametrize(
    ("reviews", "left_out"),
    [
        ([review_line(interest=["Home", "Lamps"], shopper_id="ann")], {"ann": {"desk", "floor"}}),
        ([review_line(item_id="desk", shopper_id="ann")], {"ann": {"desk"}}),
        ([review_line(item_id="desk", all_shoppers=True)], {"ann": {"desk"}, "bob": {"desk"}}),
        ([review_line(item_id="desk", catalogue="ads", all_shoppers=True)], {}),
        ([review_line(item_id="pan", segment={"category": ["Home", "Lamps"], "brand": ""})], {"bob": {"pan"}}),
        ([review_line(item_id="pan", segment={"category": ["Home"], "brand": "acme"})], {"cyd": {"pan"}}),
        (
            [review_line(item_id="desk", all_shoppers=True), review_line("correct", item_id="desk", shopper_id="ann")],
            {"bob": {"desk"}},
        ),
        (
            [review_line(item_id="desk", all_shoppers=True), review_line("keep", item_id="desk", shopper_id="ann")],
            {"ann": {"desk"}, "bob": {"desk"}},
        ),
        (
            [
                review_line(item_id="desk", all_shoppers=True),
                review_line("pin", item_id="desk", segment={"category": ["Kitchen"], "brand": ""}),
                review_line("keep", item_id="desk", shopper_id="bob"),
            ],
            {"ann": {"desk"}},
        ),
        ([review_line("pin", item_id="desk", all_shoppers=True), review_line(trait="buyer", shopper_id="ann")], {}),
    ],
)
def test_what_is_blocked_is_not_learnt_from(
    write_log: WriteLog, tmp_path: Path, reviews: list[str], left_out: dict[str, set[str]]
) -> None:
    found = kept(write_log, tmp_path, *reviews)
    assert found == {shopper: items - left_out.get(shopper, set()) for shopper, items in ALL.items()}


def test_reviews_meet_pseudonyms(write_log: WriteLog, tmp_path: Path) -> None:
    key = PseudonymKey("one", b"k" * 32)
    found = kept(write_log, tmp_path, review_line(interest=["Home"], shopper_id="cyd"), key=key)
    assert sorted(map(len, found.values())) == [1, 2, 3]
    assert not ALL.keys() & found.keys()


@pytest.mark.parametrize("line", ["", "[]", "{}", review_line(), review_line("praise", all_shoppers=True)])
def test_a_line_that_is_no_review_is_named(write_log: WriteLog, tmp_path: Path, line: str) -> None:
    file = tmp_path / "reviews.jsonl"
    file.write_text(review_line(item_id="desk", all_shoppers=True) + "\n" + line + "\n", encoding="utf-8")
    folder = write_log(events_csv=LOG)
    with pytest.raises(DataError, match="row 2"):
        prepare_data_set("events", lambda connection: events.load(connection, folder), tmp_path / "data", reviews=file)


def test_a_file_without_a_review_is_refused(write_log: WriteLog, tmp_path: Path) -> None:
    file = tmp_path / "reviews.jsonl"
    file.touch()
    folder = write_log(events_csv=LOG)
    with pytest.raises(DataError, match="holds no review"):
        prepare_data_set("events", lambda connection: events.load(connection, folder), tmp_path / "data", reviews=file)


def test_the_latest_review_of_a_trait_counts(tmp_path: Path) -> None:
    file = tmp_path / "reviews.jsonl"
    early, late = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3))
    lines = [
        review_line("correct", value=0.125, trait="buys", shopper_id="ann", reviewed_at=late),
        review_line("block", trait="buys", shopper_id="ann", reviewed_at=early),
        review_line("pin", value=0.9, trait="buys", shopper_id="bob", reviewed_at=early),
        review_line("keep", trait="lapses", shopper_id="ann"),
        review_line("correct", trait="buys", all_shoppers=True),
        review_line("correct", value=3.0, item_id="desk", shopper_id="ann"),
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert sorted(read_trait_reviews(file)) == [
        TraitReview("buys", "ann", late.timestamp(), 0.125),
        TraitReview("buys", "bob", early.timestamp(), None),
    ]


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan")])
def test_a_corrected_value_that_is_no_probability_is_named(tmp_path: Path, value: float) -> None:
    file = tmp_path / "reviews.jsonl"
    file.write_text(review_line("correct", value=value, trait="buys", shopper_id="ann"), encoding="utf-8")
    with pytest.raises(DataError, match="row 1"):
        read_trait_reviews(file)
