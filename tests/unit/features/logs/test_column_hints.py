"""Hints for logs whose columns have other names."""

import pytest

from portrait.features.logs.column_hints import describe_missing, suggest_column

KAGGLE = ("event_time", "event_type", "product_id", "category_id", "brand", "price", "user_id", "user_session")
RETAIL_ROCKET = ("timestamp", "visitorid", "event", "itemid", "transactionid")
ONLINE_RETAIL = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (KAGGLE, {"shopper_id": "user_id", "type": "event_type", "item_id": "product_id", "time": "event_time"}),
        (RETAIL_ROCKET, {"shopper_id": "visitorid", "type": "event", "item_id": "itemid", "time": "timestamp"}),
        (ONLINE_RETAIL, {"shopper_id": "CustomerID", "type": None, "item_id": "StockCode", "time": "InvoiceDate"}),
        (
            ("Lineitem sku", "Created at", "Email"),
            {"shopper_id": None, "item_id": "Lineitem sku", "time": "Created at"},
        ),
    ],
)
def test_names_of_common_exports_are_suggested(names: tuple[str, ...], found: dict[str, str | None]) -> None:
    assert {column: suggest_column(column, names) for column in found} == found


def test_a_missing_column_is_described_by_what_the_file_has() -> None:
    assert describe_missing(["shopper_id", "type", "item_id"], KAGGLE) == (
        "this column is required; rename 'user_id' to 'shopper_id', 'event_type' to 'type', 'product_id' to 'item_id', "
        "'event_time' to 'time', if that is what they hold"
    )
    orders = describe_missing(["type"], ONLINE_RETAIL)
    assert "the file has 'InvoiceNo', " in orders
    assert orders.endswith("in a log of orders alone, the type of every row is 'purchase'")
    assert "'c11' and 2 more" in describe_missing(["type"], [f"c{number}" for number in range(14)])


def test_a_time_that_is_there_is_not_looked_for() -> None:
    assert "'timestamp'" not in describe_missing(["shopper_id"], ["user_id", "time", "timestamp"])


def test_data_in_the_place_of_a_header_are_not_repeated() -> None:
    message = describe_missing(["shopper_id"], ("196", "242", "pv", "881250949"))
    assert "header" in message
    assert "196" not in message


def test_a_column_of_row_numbers_is_no_data() -> None:
    assert "rename 'user_id' to 'shopper_id'" in describe_missing(["shopper_id"], ("0", "user_id", "2024"))


def test_a_file_without_columns_has_nothing_to_describe() -> None:
    assert describe_missing(["type"], ()) == "this column is required"
