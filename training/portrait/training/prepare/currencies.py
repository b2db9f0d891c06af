"""Prices of one log or list in several currencies: those of the commonest are kept."""

from collections.abc import Mapping

import duckdb

from portrait.training.dataset.sql import literal
from portrait.training.prepare.tables import Table
from portrait.training.prepare.values import currency, currency_name

COUNTS_TABLE = "currencies"
"""Counts of prices by currency: `kind` (`events` or `items`), `currency`, `prices`."""


def create_counts(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table of counts, empty."""
    connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {COUNTS_TABLE} (kind VARCHAR, currency VARCHAR, prices BIGINT)"
    )


def keep_commonest_currency(table: Table, kind: str, typed: Mapping[str, str]) -> dict[str, str]:
    """Count the currencies of a part, and make SQL of its prices, null where they are not in the commonest one.

    A price names its currency itself, or the column `currency` does. One that names none is kept.

    Args:
        table: the part.
        kind: `events` or `items`; the commonest is that of all its parts.
        typed: SQL by column; empty is given back if there is no price among them.
    """
    if "price" not in typed:
        return {}
    named = named_currency(table, typed)
    add_counts(table.connection, kind, named, table.name)
    return {"price": kept_price(kind, typed["price"], named)}


def named_currency(table: Table, typed: Mapping[str, str]) -> str:
    """SQL of the currency of each row's price; null if none is named.

    Args:
        table: the part.
        typed: SQL by column.
    """
    if "price" not in typed:
        return "NULL"
    named = currency("price", decimal_comma=table.decimal_comma)
    if "currency" not in table.columns:
        return named
    return f"coalesce({named}, CASE WHEN ({typed['price']}) IS NOT NULL THEN {currency_name('currency')} END)"


def add_counts(connection: duckdb.DuckDBPyConnection, kind: str, named: str, relation: str) -> None:
    """Add to the counts.

    Args:
        connection: the engine.
        kind: `events` or `items`.
        named: SQL of the currency that a row names.
        relation: the rows.
    """
    create_counts(connection)
    connection.execute(
        f"INSERT INTO {COUNTS_TABLE} SELECT {literal(kind)}, {named} AS currency, count(*) FROM {relation} "
        "GROUP BY 2 HAVING currency IS NOT NULL"
    )


def kept_price(kind: str, price: str, named: str) -> str:
    """SQL of a price, null if it names another currency than the commonest of the counts.

    Args:
        kind: `events` or `items`.
        price: SQL of the price.
        named: SQL of the currency that it names.
    """
    commonest = (
        f"(SELECT currency FROM {COUNTS_TABLE} WHERE kind = {literal(kind)} "
        "GROUP BY currency ORDER BY sum(prices) DESC, currency LIMIT 1)"
    )
    return f"CASE WHEN ({named}) IS NULL OR ({named}) = {commonest} THEN {price} END"


def count_currencies(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Count the prices of `events` and `items` by the currency that they name, the commonest first."""
    create_counts(connection)
    counted: dict[str, dict[str, int]] = {}
    rows = connection.execute(
        f"SELECT kind, currency, sum(prices)::BIGINT AS prices FROM {COUNTS_TABLE} "
        "GROUP BY kind, currency ORDER BY kind, prices DESC, currency"
    )
    for kind, name, prices in rows.fetchall():
        counted.setdefault(kind, {})[name] = prices
    return counted
