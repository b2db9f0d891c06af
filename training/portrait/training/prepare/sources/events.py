"""Your own log, by the canonical schema: `events.csv`, `.jsonl` or `.parquet`, and optional `items`, `shoppers`.

Required are `shopper_id`, `type`, and `item_id` or `query`. Further columns of the schema are read where present;
others are ignored. `time` is ISO 8601 (UTC where no offset is given) or seconds, milliseconds or microseconds
since 1970.
"""

from pathlib import Path

import duckdb

from portrait.training.errors import DataError
from portrait.training.prepare.cleaning import COLUMNS
from portrait.training.prepare.engine import literal, reading
from portrait.training.prepare.sources.undeclared import NO_SHOPPERS

_ENDINGS = (".csv", ".jsonl", ".parquet")
_SYNONYMS = {
    "page_view": "view", "pageview": "view", "product_view": "view", "cart": "add_to_cart", "addtocart": "add_to_cart",
    "add-to-cart": "add_to_cart", "buy": "purchase", "order": "purchase", "transaction": "purchase",
    "rating": "rate", "review": "rate", "query": "search",
}  # fmt: skip
_REQUIRED = ("shopper_id", "type")
_ITEM_COLUMNS = {
    "item_id": "VARCHAR", "catalogue": "VARCHAR", "title": "VARCHAR", "category_path": "VARCHAR[]",
    "brand": "VARCHAR", "attributes": "STRUCT(\"key\" VARCHAR, \"value\" VARCHAR)[]", "price": "DOUBLE",
}  # fmt: skip


def recognises(path: Path) -> bool:
    """Whether the path is a log or a folder that holds one."""
    return _log(path) is not None


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of a log.

    Raises:
        DataError: a file is missing or malformed.
    """
    log = _log(path)
    if log is None:
        raise DataError(str(path), None, None, "no events.csv, events.jsonl or events.parquet here")
    columns = _read(connection, log, "log", line_of_first=2 if log.suffix == ".csv" else 1)
    for name in _REQUIRED:
        if name not in columns:
            raise DataError(str(log), 1, name, "this column is required")
    if "item_id" not in columns and "query" not in columns:
        raise DataError(str(log), 1, "item_id", "this column or 'query' is required")
    _require_castable(connection, log, columns)
    synonyms = " ".join(f"WHEN {literal(old)} THEN {literal(new)}" for old, new in _SYNONYMS.items())
    typed = {name: _typed(name, kind) if name in columns else f"NULL::{kind}" for name, kind in COLUMNS.items()}
    typed["type"] = f"CASE lower(trim(type)) {synonyms} ELSE lower(trim(type)) END"
    typed["catalogue"] = f"coalesce({typed['catalogue']}, 'products')"
    chosen = ", ".join(f"{expression} AS {name}" for name, expression in typed.items())
    connection.execute(f"CREATE TEMP VIEW raw_events AS SELECT {literal(log)} AS file, row, {chosen} FROM log")
    _items(connection, log.parent)
    _shoppers(connection, log.parent)


def _log(path: Path) -> Path | None:
    if path.is_file() and path.suffix in _ENDINGS:
        return path
    return _table(path, "events")


def _table(folder: Path, name: str) -> Path | None:
    return next((folder / f"{name}{end}" for end in _ENDINGS if (folder / f"{name}{end}").is_file()), None)


def _read(connection: duckdb.DuckDBPyConnection, file: Path, table: str, line_of_first: int) -> list[str]:
    """Read a file into a temporary table with its row numbers; returns the names of its columns."""
    readers = {
        ".csv": f"read_csv({literal(file)}, header = true, all_varchar = true, strict_mode = true)",
        ".jsonl": f"read_json({literal(file)}, format = 'newline_delimited', union_by_name = true, sample_size = -1)",
        ".parquet": f"read_parquet({literal(file)})",
    }
    with reading(file):
        connection.execute(
            f"CREATE TEMP TABLE {table} AS SELECT *, row_number() OVER () + {line_of_first - 1} AS row "
            f"FROM {readers[file.suffix]}"
        )
    return [row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall() if row[0] != "row"]


def _typed(name: str, kind: str) -> str:
    if kind == "VARCHAR":
        return f"nullif(trim({name}::VARCHAR), '')"
    if name == "time":
        text = "trim(time::VARCHAR)"
        number = f"try_cast({text} AS DOUBLE)"
        seconds = f"CASE WHEN abs({number}) >= 1e14 THEN {number} / 1e6 WHEN abs({number}) >= 1e11 THEN {number} / 1e3 "
        seconds += f"ELSE {number} END"
        return f"coalesce(to_timestamp({seconds}), try_cast({text} AS TIMESTAMPTZ))"
    return f"try_cast(nullif(trim({name}::VARCHAR), '') AS {kind})"


def _require_castable(connection: duckdb.DuckDBPyConnection, file: Path, columns: list[str]) -> None:
    """Refuse a file in which a value is not of its column's type: the file is malformed, not the shopper odd."""
    for name, kind in COLUMNS.items():
        if name not in columns or kind == "VARCHAR":
            continue
        bad = connection.execute(
            f"SELECT min(row) FROM log WHERE coalesce(trim({name}::VARCHAR), '') <> '' AND {_typed(name, kind)} IS NULL"
        ).fetchone()
        if bad and bad[0] is not None:
            wanted = {"TIMESTAMPTZ": "a time", "INTEGER": "a whole number"}.get(kind, "a number")
            raise DataError(str(file), int(bad[0]), name, f"is not {wanted}")


def _items(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    file = _table(folder, "items")
    if file is None:
        nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in _ITEM_COLUMNS.items())
        connection.execute(f"CREATE TEMP VIEW raw_items AS SELECT {nothing} WHERE false")
        return
    columns = _read(connection, file, "listed", line_of_first=2 if file.suffix == ".csv" else 1)
    if "item_id" not in columns:
        raise DataError(str(file), 1, "item_id", "this column is required")
    kinds = {row[0]: row[1] for row in connection.execute("DESCRIBE listed").fetchall()}
    typed = {name: f"NULL::{kind}" for name, kind in _ITEM_COLUMNS.items()}
    typed |= {name: f"nullif(trim({name}::VARCHAR), '')" for name in typed if name in columns}
    if "price" in columns:
        typed["price"] = "try_cast(price AS DOUBLE)"
    if "category_path" in columns:
        split = "list_transform(string_split(category_path::VARCHAR, '>'), lambda name: trim(name))"
        typed["category_path"] = "category_path" if kinds["category_path"].endswith("[]") else split
    typed["attributes"] = _attributes(kinds)
    typed["catalogue"] = f"coalesce({typed['catalogue']}, 'products')"
    chosen = ", ".join(f"{expression} AS {name}" for name, expression in typed.items())
    connection.execute(f"CREATE TEMP VIEW raw_items AS SELECT {chosen} FROM listed WHERE item_id IS NOT NULL")


def _attributes(kinds: dict[str, str]) -> str:
    """The list of a Portrait data set itself, else every further column in words."""
    if kinds.get("attributes", "").endswith("[]"):
        return "attributes"
    further = [name for name in kinds if name not in (*_ITEM_COLUMNS, "row")]
    pairs = ", ".join(f"{{'key': {literal(name)}, 'value': \"{name}\"::VARCHAR}}" for name in further)
    return f"list_filter([{pairs}], lambda pair: pair.value IS NOT NULL)" if further else "NULL"


def _shoppers(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    file = _table(folder, "shoppers")
    if file is None:
        connection.execute(NO_SHOPPERS)
        return
    columns = _read(connection, file, "declared", line_of_first=2 if file.suffix == ".csv" else 1)
    names = ("shopper_id", "age_band", "gender", "region")
    chosen = ", ".join(
        f"{name}::VARCHAR AS {name}" if name in columns else f"NULL::VARCHAR AS {name}" for name in names
    )
    connection.execute(f"CREATE TEMP VIEW raw_shoppers AS SELECT {chosen} FROM declared")
