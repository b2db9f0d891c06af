"""The recipes of docs/exports.md, each run on rows in the form of its export, and prepared."""

import json
import re
from pathlib import Path

import duckdb
import polars as pl
import pytest
from support.prepared_data import Prepare, PreparedData

PAGE = Path(__file__).parents[4] / "docs" / "exports.md"
RECIPES = {
    section.partition("\n")[0]: re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
}
GA4_ITEM = {"item_id": "GG1", "item_name": "Tee", "item_brand": "Android", "item_category": "Apparel", "price": "16.0"}
GA4_SEARCH = [
    {"key": "page", "value": {"int_value": "1"}},
    {"key": "search_term", "value": {"string_value": "red tee"}},
]


def json_lines(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def ga4(name: str, time: int, items: list[dict[str, str]], params: list[dict[str, object]]) -> dict[str, object]:
    return {
        "event_date": "20210131", "event_timestamp": str(1612069510766593 + time), "event_name": name,
        "user_pseudo_id": "1026454.4271112504", "event_params": params, "items": items,
    }  # fmt: skip


EXPORTS: dict[str, dict[str, str | bytes]] = {
    "Shopify: orders": {
        "orders_export_1.csv": "Name,Email,Financial Status,Paid at,Currency,Created at,Lineitem quantity,"
        "Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Vendor\n"
        '#1,A@x.example,paid,2024-01-15 10:00:00 -0500,USD,2024-01-15 09:59:00 -0500,2,"Cushion, red",50.00,007,,Acme\n'
        "#1,A@x.example,,,,,1,Vase,45.00,,,Acme\n"
        "#2,b@x.example,refunded,2024-01-15 10:00:00 -0500,USD,2024-01-15 09:59:00 -0500,1,Vase,45.00,,,Acme\n"
        "#2,b@x.example,,,,,1,Lamp,9.00,9,,Acme\n"
        "#3,a@x.example,paid,2024-01-15 10:00:00 -0500,USD,2024-02-15 09:59:00 -0500,1,Vase,45.00,,2024-02-16,Acme\n"
    },
    "Google Analytics 4: BigQuery export": {
        "ga4-1.json": json_lines(
            ga4("page_view", 0, [], GA4_SEARCH[:1]),
            ga4("view_search_results", 1, [GA4_ITEM], GA4_SEARCH),
            ga4("view_item", 2, [GA4_ITEM | {"quantity": "1"}], GA4_SEARCH[:1]),
            ga4("purchase", 3, [GA4_ITEM, GA4_ITEM | {"item_id": "GG2"}], GA4_SEARCH[:1]),
        )
    },
    "Google Retail: user events": {
        "user_events.json": json_lines(
            {"eventType": "search", "visitorId": "v", "eventTime": "2024-01-15T10:00:00Z", "searchQuery": "lamp"},
            {
                "eventType": "detail-page-view",
                "visitorId": "v",
                "eventTime": "2024-01-15T10:00:01Z",
                "productDetails": [{"product": {"id": "07"}}],
            },
            {
                "eventType": "purchase-complete",
                "visitorId": "v",
                "eventTime": "2024-01-15T10:00:02Z",
                "productDetails": [{"product": {"id": "07"}, "quantity": 2}, {"product": {"id": "8"}, "quantity": 1}],
            },
        )
    },
    "Kaggle: eCommerce behavior data from a multi category store": {
        "2019-Oct.csv": "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d7\n"
        "2019-10-01 00:00:01 UTC,cart,1,2,computers.notebook,hp,99.00,541312140,72d7\n"
        "2019-10-01 00:00:02 UTC,remove_from_cart,1,2,computers.notebook,hp,99.00,541312140,72d7\n"
    },
    "RetailRocket": {
        "events.csv": "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
        "1433224214164,992329,addtocart,248676,\n1433224229496,992329,transaction,248676,4000\n"
    },
    "Olist: orders in several tables": {
        "olist_orders_dataset.csv": '"order_id","customer_id","order_status","order_purchase_timestamp"\n'
        '"e1","c1","delivered","2017-10-02 10:56:33"\n"e2","c2","canceled","2017-10-03 10:56:33"\n'
        '"e3","c3","delivered","2017-10-04 10:56:33"\n',
        "olist_order_items_dataset.csv": '"order_id","order_item_id","product_id","price"\n"e1",1,"p",10.00\n'
        '"e1",2,"p",10.00\n"e2",1,"p",10.00\n"e3",1,"q",5.00\n',
        "olist_customers_dataset.csv": '"customer_id","customer_unique_id"\n"c1","u"\n"c2","u"\n"c3","u"\n',
        "olist_products_dataset.csv": '"product_id","product_category_name"\n"p","perfumaria"\n"q","artes"\n',
    },
    "Online Retail (UCI)": {
        "Online Retail.csv": (
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
            "536365,85123A,CAFÉ LIGHT,6,12/1/2010 8:26,2.55,17850,United Kingdom\n"
            "536365,POST,POSTAGE,1,12/1/2010 8:26,18,17850,United Kingdom\n"
            "C536379,85123A,CAFÉ LIGHT,-1,12/13/2010 9:41,2.55,17850,United Kingdom\n"
            "536366,22633,HAND WARMER,6,12/1/2010 8:28,1.85,,France\n"
        ).encode("cp1252")
    },
    "H&M: transactions": {
        "transactions_train.csv": "t_dat,customer_id,article_id,price,sales_channel_id\n"
        "2018-09-20,c,0663713001,0.05,2\n2018-09-20,c,0663713001,0.05,2\n2018-09-21,c,0541518023,0.03,2\n",
        "articles.csv": "article_id,prod_name,product_type_name,index_name\n0663713001,Atlanta,Underwear,Lingeries\n"
        "0541518023,Rae,Bra,Lingeries\n",
    },
    "Taobao: UserBehavior": {
        "UserBehavior.csv": "1,2268318,2520377,pv,1511544070\n1,2333346,2520771,fav,1511561733\n"
        "1,2576651,149192,buy,1511572885\n"
    },
}


def follow(section: str, folder: Path, prepare_log: Prepare, monkeypatch: pytest.MonkeyPatch) -> PreparedData:
    """Run a section's recipe in a folder that holds its export, and prepare the log."""
    (folder / "log").mkdir()
    for name, content in EXPORTS[section].items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(folder)
    (recipe,) = RECIPES[section]
    with duckdb.connect() as connection:
        connection.execute(recipe)
    return prepare_log(folder / "log")


def test_every_recipe_has_an_export_to_try_it_on() -> None:
    assert RECIPES.keys() == EXPORTS.keys()


@pytest.mark.parametrize(
    ("section", "events", "rejected"),
    [
        ("Shopify: orders", [("a@x.example", "purchase", "007"), ("a@x.example", "purchase", "Vase")], {}),
        (
            "Google Analytics 4: BigQuery export",
            [("1026454.4271112504", kind, item) for kind, item in (
                ("search", None), ("view", "GG1"), ("purchase", "GG1"), ("purchase", "GG2"),
            )],
            {},
        ),
        (
            "Google Retail: user events",
            [("v", "search", None), ("v", "view", "07"), ("v", "purchase", "07"), ("v", "purchase", "8")],
            {},
        ),
        (
            "Kaggle: eCommerce behavior data from a multi category store",
            [("541312140", "view", "44600062"), ("541312140", "add_to_cart", "1")],
            {},
        ),
        (
            "RetailRocket",
            [("257597", "view", "355908"), ("992329", "add_to_cart", "248676"), ("992329", "purchase", "248676")],
            {},
        ),
        ("Olist: orders in several tables", [("u", "purchase", item) for item in ("p", "p", "q")], {}),
        (
            "Online Retail (UCI)",
            [("17850", "purchase", "85123A"), ("17850", "refund", "85123A")],
            {"missing_shopper": 1},
        ),
        ("H&M: transactions", [("c", "purchase", "0663713001"), ("c", "purchase", "0541518023")], {}),
        (
            "Taobao: UserBehavior",
            [("1", "view", "2268318"), ("1", "add_to_cart", "2333346"), ("1", "purchase", "2576651")],
            {},
        ),
    ],
)  # fmt: skip
def test_a_recipe_makes_the_log_that_the_export_means(
    prepare_log: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str,
    events: list[tuple[str, str, str | None]], rejected: dict[str, int],
) -> None:  # fmt: skip
    data = follow(section, tmp_path, prepare_log, monkeypatch)
    assert data.table("events").select("shopper_id", "type", "item_id").rows() == events
    assert data.report.rejected == rejected
    assert "time" not in data.report.missing
    assert data.report.warnings() == []


@pytest.mark.parametrize(
    ("section", "columns", "row"),
    [
        ("Shopify: orders", ("time", "price", "quantity"), ("2024-01-15 14:59:00", 50.0, 2.0)),
        ("Online Retail (UCI)", ("time", "price", "quantity"), ("2010-12-01 08:26:00", 2.55, 6.0)),
        ("H&M: transactions", ("time", "price", "quantity"), ("2018-09-20 00:00:00", 0.05, 2.0)),
        (
            "Google Analytics 4: BigQuery export", ("time", "price", "query"),
            ("2021-01-31 05:05:10.766594", None, "red tee"),
        ),
    ],
)  # fmt: skip
def test_what_a_recipe_reads_of_an_event_is_right(
    prepare_log: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, columns: tuple[str, ...],
    row: tuple[object, ...],
) -> None:  # fmt: skip
    first = follow(section, tmp_path, prepare_log, monkeypatch).table("events").select(columns)
    assert first.with_columns(pl.col("time").dt.strftime("%F %T%.f")).row(0) == row


def test_titles_of_a_recipe_are_those_of_the_export(
    prepare_log: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = follow("Online Retail (UCI)", tmp_path, prepare_log, monkeypatch).table("items")
    assert dict(items.select("item_id", "title").iter_rows())["85123A"] == "CAFÉ LIGHT"
