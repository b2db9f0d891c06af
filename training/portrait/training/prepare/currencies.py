"""Prices of one log or list in several currencies: those of the commonest are kept."""

from collections.abc import Mapping

import duckdb

from portrait.training.dataset.sql import literal
from portrait.training.prepare.tables import Table
from portrait.training.prepare.values import currency, currency_name

_COUNTS_TABLE = "currencies"


def create_counts(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table of counts, empty."""
    connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {_COUNTS_TABLE} (kind VARCHAR, currency VARCHAR, prices BIGINT)"
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
    price, named = typed["price"], currency("price", decimal_comma=table.decimal_comma)
    if "currency" in table.columns:
        named = f"coalesce({named}, CASE WHEN ({price}) IS NOT NULL THEN {currency_name('currency')} END)"
    create_counts(table.connection)
    table.connection.execute(
        f"INSERT INTO {_COUNTS_TABLE} SELECT {literal(kind)}, {named} AS currency, count(*) FROM {table.name} "
        "GROUP BY 2 HAVING currency IS NOT NULL"
    )
    commonest = (
        f"(SELECT currency FROM {_COUNTS_TABLE} WHERE kind = {literal(kind)} "
        "GROUP BY currency ORDER BY sum(prices) DESC, currency LIMIT 1)"
    )
    return {"price": f"CASE WHEN ({named}) IS NULL OR ({named}) = {commonest} THEN {price} END"}


def count_currencies(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Count the prices of `events` and `items` by the currency that they name, the commonest first."""
    create_counts(connection)
    counted: dict[str, dict[str, int]] = {}
    rows = connection.execute(
        f"SELECT kind, currency, sum(prices)::BIGINT AS prices FROM {_COUNTS_TABLE} "
        "GROUP BY kind, currency ORDER BY kind, prices DESC, currency"
    )
    for kind, name, prices in rows.fetchall():
        counted.setdefault(kind, {})[name] = prices
    return counted
