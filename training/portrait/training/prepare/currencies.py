"""Prices of one file in several currencies: those of the commonest are kept."""

import duckdb

from portrait.training.prepare.engine import literal
from portrait.training.prepare.tables import Table
from portrait.training.prepare.values import currency, currency_name

_COUNTS = "currencies"


def keep_commonest(table: Table, price: str) -> str:
    """Make SQL of prices, null where they name another currency than most prices of the file do.

    A price names its currency itself, or the column `currency` does. One that names none is kept.

    Args:
        table: a file with the column `price`.
        price: SQL of the price.
    """
    named = currency("price", decimal_comma=table.decimal_comma)
    if "currency" in table.columns:
        named = f"coalesce({named}, CASE WHEN ({price}) IS NOT NULL THEN {currency_name('currency')} END)"
    table.connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {_COUNTS} (file VARCHAR, currency VARCHAR, prices BIGINT)"
    )
    table.connection.execute(
        f"INSERT INTO {_COUNTS} SELECT {literal(table.file.name)}, {named} AS currency, count(*) FROM {table.name} "
        "GROUP BY 2 HAVING currency IS NOT NULL"
    )
    counted = count(table.connection).get(table.file.name, {})
    if len(counted) < 2:
        return price
    commonest = literal(next(iter(counted)))
    return f"CASE WHEN coalesce({named}, {commonest}) = {commonest} THEN {price} END"


def count(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Count the prices of each file by the currency that they name, the commonest first."""
    known = connection.execute(f"FROM duckdb_tables() WHERE table_name = '{_COUNTS}'").fetchall()
    counted: dict[str, dict[str, int]] = {}
    if known:
        rows = connection.execute(f"FROM {_COUNTS} ORDER BY file, prices DESC, currency").fetchall()
        for file, name, prices in rows:
            counted.setdefault(file, {})[name] = prices
    return counted
