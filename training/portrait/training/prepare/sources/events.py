"""Your own log, by the canonical schema: `events`, and optional `items` and `shoppers`, as CSV, JSON lines or Parquet.

Each is a file, packed or not, or a folder of parts.

Required are `shopper_id`, `type`, and `item_id` or `query`. Further columns of the schema are read where present;
others of the events are ignored, others of the items become attributes.
"""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import duckdb

from portrait.features.logs.amounts import read_number
from portrait.features.logs.descriptions import read_categories
from portrait.features.logs.event_types import EVENT_TYPE_NAMES
from portrait.features.logs.identifiers import SHORTENED_ID, SHORTENED_ID_PATTERN
from portrait.features.logs.order_status import STATUS_COLUMNS
from portrait.features.logs.timestamps import read_time
from portrait.training.dataset.sql import identifier, literal
from portrait.training.errors import DataError
from portrait.training.prepare import currencies, parts, schema, tables, unread
from portrait.training.prepare.engine import copy_to_parquet
from portrait.training.prepare.parts import Part
from portrait.training.prepare.plain_files import open_plain
from portrait.training.prepare.signs import normalised_type_sql
from portrait.training.prepare.values import brand, categories, number, record_id, text, timestamp, words

_TEXTS: dict[str, Callable[[str], str]] = {
    "event_id": record_id,
    "shopper_id": record_id,
    "item_id": record_id,
    "catalogue": record_id,
    "brand": brand,
    "title": words,
}
"""SQL builders of columns that need more than plain text."""

_MAX_PART_ROWS = 1 << 40
"""More rows than a part has: of what is listed twice, the first row of the first part counts."""
_PAIRS = """CASE
    WHEN NOT json_valid(attributes) THEN NULL
    WHEN json_type(attributes) = 'OBJECT' THEN map_entries(from_json(attributes, '"MAP(VARCHAR, VARCHAR)"'))
    WHEN json_array_length(attributes) = len(json_extract(attributes, '$[*].key'))
    THEN from_json(attributes, '[{"key":"VARCHAR","value":"VARCHAR"}]')
END"""
"""SQL of an item's attributes: a JSON object, or the list of a Portrait data set; null if the text is neither."""

_DECODED = f"lambda pair: {{'key': pair.key, 'value': {words('pair.value')}}}"
"""SQL that decodes the entities of an attribute."""


_TABLES: dict[str, tuple[str, Collection[str] | None, Collection[str]]] = {
    "raw_events": ("log", (*schema.EVENT_COLUMNS, "currency", *STATUS_COLUMNS), ()),
    "raw_items": ("listed", None, schema.ITEM_COLUMNS),
    "raw_shoppers": ("declared", schema.SHOPPER_COLUMNS, ()),
}
"""For each view: prefix of the tables that parts are read into, columns that are read (None: all), and columns whose
name may be in any case."""
_KEYS = """CASE json_type(attributes) WHEN 'OBJECT' THEN json_keys(attributes)
    ELSE json_extract_string(attributes, '$[*].key') END"""
"""SQL of the names of an item's attributes."""


def recognises(path: Path) -> bool:
    """Tell whether the path is a log or a folder that holds one."""
    if path.is_file():
        return bool(parts.file_format(path))
    return bool(parts.find_parts(path, "events")) or parts.is_folder_of_parts(path)


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of a log."""
    _create_event_types(connection)
    _create_table_or_view(connection, "raw_events", find_log(path), _event_rows)
    load_lists(connection, path)


def load_lists(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the views of what a log lists: `raw_items` and `raw_shoppers`.

    Raises:
        DataError: a file is malformed.
    """
    # Of a log that is named as a file, what lies beside it is no part.
    found = {name: parts.find_parts(path, name) if path.is_dir() else [] for name in ("items", "shoppers")}
    _create_table_or_view(connection, "raw_items", found["items"], _item_rows)
    _create_table_or_view(connection, "raw_shoppers", found["shoppers"], _shopper_rows)
    if path.is_dir():
        unread.add_unread(connection, (unread.Unread("files", name) for name in parts.find_other_tables(path)))


def write_events_of_part(connection: duckdb.DuckDBPyConnection, part: Part, output: Path) -> list[unread.Unread]:
    """Write the rows of one part of a log to a Parquet file, with the columns of the view `events_of_part`.

    Returns:
        What is not read of the part.

    Raises:
        DataError: the part is malformed.
    """
    _create_event_types(connection)
    name, only, known = _TABLES["raw_events"]
    with open_plain(connection, part.file) as file:
        table = tables.read_table(connection, file, name, only, known)
        typed = _type_events(table, part)
        named = currencies.named_currency(table, typed)
        copy_to_parquet(connection, _select_events("events_of_part", table, typed | {"currency": named}), output)
        return unread.find_unread("events", table)


def _create_event_types(connection: duckdb.DuckDBPyConnection) -> None:
    names = ", ".join(f"({literal(name)}, {literal(kind)})" for name, kind in EVENT_TYPE_NAMES.items())
    connection.execute(f"CREATE TEMP TABLE event_types AS SELECT * FROM (VALUES {names}) AS names (spelling, kind)")


def find_log(path: Path) -> list[Part]:
    """The parts of a log's events.

    Raises:
        DataError: there are none, or they are there twice.
    """
    if path.is_file():
        return [Part(path, path.name)]
    if found := parts.find_parts(path, "events"):
        return found
    if parts.is_folder_of_parts(path):
        return parts.list_parts(path)
    raise DataError(str(path), None, None, f"holds no events{', events'.join(parts.FORMATS)}, and no folder events")


def _create_table_or_view(
    connection: duckdb.DuckDBPyConnection, view: str, found: list[Part], rows: Callable[[tables.Table, Part, int], str]
) -> None:
    """Make a view of a table's only part, or a table of that name that parts are added to one after another.

    Args:
        connection: the engine.
        view: one of the three.
        found: the parts; none if the log has no such table.
        rows: checks a part that is read, and gives SQL of its rows.
    """
    if not found:
        return schema.create_empty_view(connection, view)
    name, only, known = _TABLES[view]
    selects = []
    for place, part in enumerate(found):
        with open_plain(connection, part.file) as file:
            selects.append(rows(tables.read_table(connection, file, f"{name}_{place}", only, known), part, place))
    if len(selects) == 1:
        return schema.create_view_from(connection, view, selects[0])
    # After all are read: which prices count depends on the currencies of all parts.
    for place, select in enumerate(selects):
        connection.execute(f"INSERT INTO {view} {select}" if place else f"CREATE TEMP TABLE {view} AS {select}")
        connection.execute(f"DROP TABLE {name}_{place}")
    return None


def _event_rows(table: tables.Table, part: Part, place: int) -> str:
    typed = _type_events(table, part)
    unread.add_unread(table.connection, unread.find_unread("events", table))
    return _select_events("raw_events", table, typed | currencies.keep_commonest_currency(table, "events", typed))


def _type_events(table: tables.Table, part: Part) -> dict[str, str]:
    """SQL of each column of the events that the table has."""
    table.require("shopper_id", "type", *([] if "query" in table.columns else ["item_id"]))
    typed = _typed_columns(table, schema.EVENT_COLUMNS)
    # A type that has no name keeps its spelling, for the report to count.
    return typed | {"file": literal(part.name), "row": "row", "type": f"coalesce(kind, {typed['type']})"}


def _select_events(view: str, table: tables.Table, typed: dict[str, str]) -> str:
    relation = f"{table.name} LEFT JOIN event_types ON spelling = {normalised_type_sql('type')}"
    return schema.select_rows(view, relation, typed)


def _item_rows(table: tables.Table, part: Part, place: int) -> str:
    table.require("item_id")
    typed = _typed_columns(table, schema.ITEM_COLUMNS)
    if "category_path" in typed:
        typed["category_path"] = categories("category_path")
        table.require_readable("category_path", typed["category_path"], read_categories)
    typed |= currencies.keep_commonest_currency(table, "items", typed)
    typed |= {"attributes": _attributes_sql(table), "row": f"row + {place * _MAX_PART_ROWS}"}
    return schema.select_rows("raw_items", table.name, typed)


def _shopper_rows(table: tables.Table, part: Part, place: int) -> str:
    table.require("shopper_id")
    unread.add_unread(table.connection, unread.find_unread("shoppers", table))
    typed = _typed_columns(table, schema.SHOPPER_COLUMNS)
    return schema.select_rows("raw_shoppers", table.name, typed | {"row": f"row + {place * _MAX_PART_ROWS}"})


def _typed_columns(table: tables.Table, kinds: dict[str, str]) -> dict[str, str]:
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
            typed[column] = timestamp(name)
            table.require_readable(column, typed[column], read_time)
        else:
            typed[column] = _TEXTS.get(column, text)(name)
            if _TEXTS.get(column) is record_id:
                whole = f"NOT regexp_full_match(trim({name}), {literal(SHORTENED_ID_PATTERN)})"
                table.require_values(column, f"CASE WHEN {whole} THEN 1 END", SHORTENED_ID)
    return typed


def _attributes_sql(table: tables.Table) -> str:
    """Pairs of the column `attributes` and of further columns."""
    further = [column for column in table.columns if column not in {"currency", *schema.ITEM_COLUMNS}]
    pairs = ", ".join(f"{{'key': {literal(column)}, 'value': {words(identifier(column))}}}" for column in further)
    kind = schema.ITEM_COLUMNS["attributes"]
    parts = [f"[{pairs}]::{kind}"]
    if "attributes" in table.columns:
        table.require_values("attributes", _PAIRS, "a JSON object, or a list of objects with key and value")
        names = f"list_concat({_KEYS}, [{', '.join(literal(column) for column in further)}]::VARCHAR[])"
        distinct = f"len({names}) = len(list_distinct(list_transform({names}, lambda name: lower(name))))"
        twice = "a set of attributes: a name is there or a column twice, perhaps in upper and in lower case"
        table.require_values("attributes", f"CASE WHEN {distinct} THEN 1 END", twice)
        parts.insert(0, f"list_transform(coalesce({_PAIRS}, []), {_DECODED})::{kind}")
    return f"list_concat({', '.join(parts)})" if len(parts) > 1 else parts[0]
