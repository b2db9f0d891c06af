"""The one definition of what text in a log means, as functions that the SQL engine can call."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling

from portrait.features.logs import amounts, descriptions, identifiers, timestamps

_CACHED_VALUES = 1 << 14


def register_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the engine call the definition. What says nothing, or can't be read, becomes null.

    Args:
        connection: the engine; to be closed, since it holds the functions until then.
    """
    for name, function, result in (
        ("log_time", _read_microseconds, "BIGINT"),
        ("log_id", identifiers.read_id, "VARCHAR"),
        ("log_text", identifiers.read_text, "VARCHAR"),
        ("log_brand", descriptions.read_brand, "VARCHAR"),
        ("log_currency_name", amounts.read_currency, "VARCHAR"),
        ("log_words", descriptions.read_description, "VARCHAR"),
        ("log_categories", descriptions.read_categories, "VARCHAR[]"),
    ):
        connection.create_function(
            name, _none_if_unreadable(function), ["VARCHAR"], result, null_handling=FunctionNullHandling.SPECIAL
        )
    for name, read, result in (("log_number", _read_number, "VARCHAR"), ("log_currency", _read_currency, "VARCHAR")):
        connection.create_function(
            name, _none_if_unreadable(read), ["VARCHAR", "BOOLEAN"], result, null_handling=FunctionNullHandling.SPECIAL
        )


def _read_microseconds(text: str) -> int | None:
    """Microseconds from 1970 to a time."""
    time = timestamps.read_time(text)
    return None if time is None else (time - timestamps.EPOCH) // timestamps.MICROSECOND


def _read_number(text: str, decimal_comma: bool) -> str | None:
    """The number as text that the engine casts: it would take a NaN of ours for null."""
    number = amounts.read_number(text, decimal_comma=decimal_comma)
    return None if number is None else repr(number)


def _read_currency(text: str, decimal_comma: bool) -> str | None:
    amount = amounts.read_amount(text, decimal_comma=decimal_comma)
    return (amount.currency or None) if amount else None


def _none_if_unreadable(read: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives None for what it can't read. Values that stand in many rows are read once."""

    @lru_cache(maxsize=_CACHED_VALUES)
    @wraps(read)
    def read_or_none(text: str | None, *options: bool) -> Any:
        try:
            return None if text is None else read(text, *options)
        except ValueError:
            return None

    return read_or_none
