r"""SQL expressions that turn text into values. What is no value of the kind becomes null; blank text is null."""

from portrait.training.prepare.engine import literal

_GROUPED = r"[-+]?[$€£¥￥]?\s?\d{1,3}(,\d{3})*(\.\d+)?"
"""A number as people write prices: with a currency sign, with commas between thousands."""
_EPOCH = r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?"
_LATEST_SECOND = 1e11
"""Beyond year 5000, and nearly as far as the engine's times reach."""


def text(column: str) -> str:
    """Text as it stands, but null where it is blank."""
    return f"CASE WHEN trim({column}) <> '' THEN {column} END"


def number(column: str) -> str:
    """A number; `1,299.00` and `$5` are numbers too. NaN and infinity stay, for cleaning to judge."""
    bare = f"regexp_replace({column}, '[$€£¥￥,\\s]', '', 'g')"
    written = f"CASE WHEN regexp_full_match(trim({column}), {literal(_GROUPED)}) THEN try_cast({bare} AS DOUBLE) END"
    return f"coalesce(try_cast({text(column)} AS DOUBLE), {written})"


def moment(column: str) -> str:
    """A time: ISO 8601 (UTC where no offset is given), or seconds, milliseconds or microseconds since 1970."""
    epoch = f"CASE WHEN regexp_full_match(trim({column}), {literal(_EPOCH)}) THEN try_cast({column} AS DOUBLE) END"
    seconds = f"({epoch} / CASE WHEN abs({epoch}) >= 1e14 THEN 1e6 WHEN abs({epoch}) >= 1e11 THEN 1e3 ELSE 1 END)"
    return (
        f"CASE WHEN {epoch} IS NULL THEN try_cast({text(column)} AS TIMESTAMPTZ) "
        f"WHEN abs({seconds}) > {_LATEST_SECOND} THEN 'infinity'::TIMESTAMPTZ ELSE to_timestamp({seconds}) END"
    )


def strings(column: str, separator: str) -> str:
    """A list of strings: a JSON array, else parts between separators."""
    parts = f"list_transform(string_split({column}, {literal(separator)}), lambda part: trim(part))"
    array = f"""CASE WHEN {column} LIKE '[%' AND json_valid({column}) THEN from_json({column}, '["VARCHAR"]')
        ELSE {parts} END"""
    return f"list_filter({array}, lambda part: coalesce(part, '') <> '')"
