r"""SQL expressions that turn text into values, by the one definition of `portrait.features.logs`.

What is plainly written the engine reads by itself, in the same way; for all else it calls that definition
(`functions`). What says nothing, or can't be read, becomes null: `tables.Table.require_readable` tells the two apart.
"""

from portrait.features.logs.identifiers import MISSING_MARKERS
from portrait.training.dataset.sql import literal

_PLAIN_NUMBER = r"-?\d{1,15}(\.\d{1,15})?"
_GROUP_OR_FRACTION = r"-?[1-9]\d{0,2}\.\d{3}"
"""A plain number that may be in thousands where commas are decimal."""
_PLAIN_TIME = (
    r"[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?"
)
_PLAIN_TEXT = "[!-~]([ -~]*[!-~])?"


def text(column: str) -> str:
    """Text as it stands, but null where it shows nothing."""
    return _plainly(column, _PLAIN_TEXT, column, f"log_text({column})")


def record_id(column: str) -> str:
    """An id, trimmed; null where it is blank or stands for none."""
    read = _plainly(column, _PLAIN_TEXT, column, f"log_id({column})")
    return (
        f"CASE WHEN lower({column}) IN ({', '.join(map(literal, sorted(MISSING_MARKERS)))}) THEN NULL ELSE {read} END"
    )


def words(column: str) -> str:
    """Words about an item, HTML entities decoded; null where they show nothing."""
    return f"CASE WHEN contains({column}, '&') THEN log_words({column}) ELSE {text(column)} END"


def brand(column: str) -> str:
    """The name of a brand, HTML entities decoded; null where it is blank or stands for none."""
    return f"log_brand({column})"


def number(column: str, *, decimal_comma: bool = False) -> str:
    """A number; NaN and infinity stay, for cleaning to judge."""
    called = f"log_number({column}, {str(decimal_comma).lower()})::DOUBLE"
    expression = _plainly(column, _PLAIN_NUMBER, f"try_cast({column} AS DOUBLE)", called)
    if not decimal_comma:
        return expression
    return f"CASE WHEN regexp_full_match({column}, {literal(_GROUP_OR_FRACTION)}) THEN NULL ELSE {expression} END"


def currency(column: str, *, decimal_comma: bool = False) -> str:
    """The currency that a number names; null if it names none."""
    return _plainly(column, _PLAIN_NUMBER, "NULL", f"log_currency({column}, {str(decimal_comma).lower()})")


def currency_name(column: str) -> str:
    """The currency that text names; null if it names none."""
    return f"log_currency_name({column})"


def timestamp(column: str) -> str:
    """A time in UTC."""
    return f"""CASE
        WHEN regexp_full_match({column}, '1\\d{{9}}') THEN make_timestamptz(1000000 * {column}::BIGINT)
        WHEN regexp_full_match({column}, '1\\d{{12}}') THEN make_timestamptz(1000 * {column}::BIGINT)
        WHEN regexp_full_match({column}, '1\\d{{15}}') THEN make_timestamptz({column}::BIGINT)
        WHEN regexp_full_match({column}, {literal(_PLAIN_TIME)}) THEN try_cast({column} AS TIMESTAMPTZ)
        ELSE make_timestamptz(log_time({column}))
    END"""


def categories(column: str) -> str:
    """The names of an item's categories, the widest first."""
    return f"log_categories({column})"


def strings(column: str, separator: str) -> str:
    """A list of strings: the parts between separators."""
    parts = f"list_transform(string_split({column}, {literal(separator)}), lambda part: trim(part))"
    return f"list_filter({parts}, lambda part: coalesce(part, '') <> '')"


def _plainly(column: str, pattern: str, plain: str, called: str) -> str:
    return f"CASE WHEN regexp_full_match({column}, {literal(pattern)}) THEN {plain} ELSE {called} END"
