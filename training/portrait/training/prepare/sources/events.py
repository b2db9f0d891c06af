"""Your own log, by the canonical schema: `events`, and optional `items` and `shoppers`, as CSV, JSON lines or Parquet.

Required are `shopper_id`, `type`, and `item_id` or `query`. Further columns of the schema are read where present;
others of the events are ignored, others of the items become attributes.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from portrait.features.events import EventType
from portrait.features.logs.amounts import read_number
from portrait.features.logs.descriptions import read_categories
from portrait.features.logs.timestamps import read_time
from portrait.training.errors import DataError
from portrait.training.prepare import currencies, schema, tables
from portrait.training.prepare.engine import identifier, literal
from portrait.training.prepare.values import brand, categories, moment, number, record_id, text, words

SYNONYMS = {
    "query": EventType.SEARCH,
    "page_view": EventType.VIEW,
    "pageview": EventType.VIEW,
    "product_view": EventType.VIEW,
    "cart": EventType.ADD_TO_CART,
    "addtocart": EventType.ADD_TO_CART,
    "add-to-cart": EventType.ADD_TO_CART,
    "buy": EventType.PURCHASE,
    "order": EventType.PURCHASE,
    "transaction": EventType.PURCHASE,
    "rating": EventType.RATE,
    "review": EventType.RATE,
    "return": EventType.REFUND,
    "returned": EventType.REFUND,
}
"""Other names of event types. Upper and lower case are the same."""

_TEXTS: dict[str, Callable[[str], str]] = {
    "event_id": record_id,
    "shopper_id": record_id,
    "item_id": record_id,
    "catalogue": record_id,
    "brand": brand,
    "title": words,
}
"""How text is read that is more than text as it stands."""

_PAIRS = """CASE
    WHEN NOT json_valid(attributes) THEN NULL
    WHEN json_type(attributes) = 'OBJECT' THEN map_entries(from_json(attributes, '"MAP(VARCHAR, VARCHAR)"'))
    WHEN json_array_length(attributes) = len(json_extract(attributes, '$[*].key'))
    THEN from_json(attributes, '[{"key":"VARCHAR","value":"VARCHAR"}]')
END"""
"""SQL of an item's attributes: a JSON object, or the list of a Portrait data set; null if the text is neither."""

_DECODED = f"lambda pair: {{'key': pair.key, 'value': {words('pair.value')}}}"
"""SQL that decodes the entities of an attribute."""


def recognises(path: Path) -> bool:
    """Whether the path is a log or a folder that holds one."""
    return _log(path) is not None


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of a log."""
    log = _log(path)
    if log is None:
        raise DataError(str(path), None, None, f"holds no events{', events'.join(tables.FORMATS)}")
    _events(connection, log)
    # Of a log that is named as a file, what lies beside it is no part.
    folder = path if path.is_dir() else None
    _items(connection, folder and _file(folder, "items"))
    _shoppers(connection, folder and _file(folder, "shoppers"))


def _log(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix in tables.FORMATS else None
    return _file(path, "events")


def _file(folder: Path, name: str) -> Path | None:
    return next((folder / f"{name}{end}" for end in tables.FORMATS if (folder / f"{name}{end}").is_file()), None)


def _events(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    log = tables.read(connection, file, "log", only=(*schema.EVENTS, "currency"))
    log.require("shopper_id", "type")
    if "query" not in log.columns:
        log.require("item_id")
    typed = _typed(log, schema.EVENTS)
    synonyms = " ".join(f"WHEN {literal(other)} THEN {literal(kind)}" for other, kind in SYNONYMS.items())
    typed["type"] = f"CASE lower(trim(type)) {synonyms} ELSE lower(trim(type)) END"
    if "price" in typed:
        typed["price"] = currencies.keep_commonest(log, typed["price"])
    schema.view(connection, "raw_events", "log", {"file": literal(file.name), "row": "row"} | typed)


def _items(connection: duckdb.DuckDBPyConnection, file: Path | None) -> None:
    if file is None:
        return schema.no_rows(connection, "raw_items")
    listed = tables.read(connection, file, "listed")
    listed.require("item_id")
    typed = _typed(listed, schema.ITEMS)
    if "category_path" in typed:
        typed["category_path"] = categories("category_path")
        listed.require_readable("category_path", typed["category_path"], read_categories)
    if "price" in typed:
        typed["price"] = currencies.keep_commonest(listed, typed["price"])
    typed["attributes"] = _attributes(listed)
    return schema.view(connection, "raw_items", "listed", {"row": "row"} | typed)


def _shoppers(connection: duckdb.DuckDBPyConnection, file: Path | None) -> None:
    if file is None:
        return schema.no_rows(connection, "raw_shoppers")
    declared = tables.read(connection, file, "declared", only=schema.SHOPPERS)
    declared.require("shopper_id")
    return schema.view(connection, "raw_shoppers", "declared", {"row": "row"} | _typed(declared, schema.SHOPPERS))


def _typed(table: tables.Table, kinds: dict[str, str]) -> dict[str, str]:
    """SQL of each column that the table has.

    Raises:
        DataError: a value is not of its column's type.
    """
    typed = {}
    for column in table.columns:
        if column not in kinds:
            continue
        name = identifier(column)
        if kinds[column] == "DOUBLE":
            typed[column] = number(name, decimal_comma=table.decimal_comma)
            table.require_readable(column, typed[column], partial(read_number, decimal_comma=table.decimal_comma))
        elif kinds[column] == "TIMESTAMPTZ":
            typed[column] = moment(name)
            table.require_readable(column, typed[column], read_time)
        else:
            typed[column] = _TEXTS.get(column, text)(name)
    return typed


def _attributes(table: tables.Table) -> str:
    """Pairs of the column `attributes` and of further columns."""
    further = [column for column in table.columns if column not in {"currency", *schema.ITEMS}]
    pairs = ", ".join(f"{{'key': {literal(column)}, 'value': {words(identifier(column))}}}" for column in further)
    kind = schema.ITEMS["attributes"]
    parts = [f"[{pairs}]::{kind}"]
    if "attributes" in table.columns:
        table.require_values("attributes", _PAIRS, "a JSON object, or a list of objects with key and value")
        parts.insert(0, f"list_transform(coalesce({_PAIRS}, []), {_DECODED})::{kind}")
    return f"list_concat({', '.join(parts)})" if len(parts) > 1 else parts[0]
