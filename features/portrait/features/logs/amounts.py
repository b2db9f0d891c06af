"""Numbers as people and spreadsheets write them: with currencies, and with commas, points or spaces in them."""

import re
import unicodedata
from typing import NamedTuple

from portrait.features.logs.identifiers import MISSING_MARKERS, trim

_CODES = frozenset({
    "AED", "ARS", "AUD", "BDT", "BGN", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "EUR", "GBP",
    "HKD", "HUF", "IDR", "ILS", "INR", "JPY", "KRW", "KWD", "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP",
    "PKR", "PLN", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND", "ZAR",
})  # fmt: skip
_SIGNS = {
    "€": "EUR", "£": "GBP", "$": "USD", "US$": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD",
    "HK$": "HKD", "NZ$": "NZD", "NT$": "TWD", "R$": "BRL", "S$": "SGD", "MX$": "MXN", "₹": "INR", "RS.": "INR",
    "RS": "INR", "₽": "RUB", "₺": "TRY", "TL": "TRY", "₩": "KRW", "₪": "ILS", "₫": "VND", "₴": "UAH", "₦": "NGN",
    "₱": "PHP", "฿": "THB", "ZŁ": "PLN", "KČ": "CZK", "LEI": "RON", "FR.": "CHF", "FT": "HUF", "RMB": "CNY",
    "元": "CNY", "円": "JPY", "원": "KRW",
}  # fmt: skip
"""Currencies by their signs."""
_SHARED_SIGNS = frozenset({"KR", "KR."})
"""Signs of several countries, which stand for themselves as every sign of one character does, such as `¥`."""

_ALIKE = str.maketrans(
    {chr(0xFF01 + code): chr(0x21 + code) for code in range(94)}
    | {"−": "-", "’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "￥": "¥", "￡": "£", "￦": "₩"}
    | dict.fromkeys("\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
)
"""Full-width letters, and dashes, apostrophes and spaces of all kinds, as one of each kind."""
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_SPECIAL = re.compile(r"[-+]?(?:inf(?:inity)?|nan)", re.ASCII | re.IGNORECASE)
_CURRENCY = r"[^\s\d.,()'+-][^\s\d,()'+-]{0,3}"
_WRITTEN = re.compile(
    rf"(?P<sign>[-+]?)\ ?(?P<before>{_CURRENCY})?\ ?(?P<inner>[-+]?)\ ?"
    rf"(?P<number>(?:\d|[.,]\d)(?:.*\d)?\.?)(?P<behind>-?)\ ?(?P<after>{_CURRENCY})?",
    re.ASCII,
)
_POINTED = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_MARKED = re.compile(r"\d[\d ',.]*", re.ASCII)
_NO_MARKS = str.maketrans("", "", " ',.")
_GROUPS = re.compile(r"[1-9]\d{0,2}(?:([ ',.])\d{3})(?:\1\d{3})*|[1-9]\d?(?:,\d\d)+,\d{3}", re.ASCII)
"""A whole number in groups of three digits, or in those of India; grouping never begins with 0."""


class Amount(NamedTuple):
    """A number, and the currency it names: a code of ISO 4217 or a sign, empty if there is none."""

    value: float
    currency: str = ""


def read_amount(text: str, *, decimal_comma: bool = False) -> Amount | None:
    """Read a number that may carry a currency before or behind it, and marks between groups of three digits.

    Where a comma and a point both stand in it, the last is the decimal mark. A mark that stands more than once is
    between groups. A point that stands alone is decimal, and so is a comma that can't be between groups. NaN and
    infinity are numbers, for the caller to judge.

    Args:
        text: the number.
        decimal_comma: the file writes decimal commas, as files do whose separator is a semicolon: there, a comma that
            stands alone is always decimal, and a point that stands before three digits may be either.

    Returns:
        None if the text is blank, a dash or another word for nothing.

    Raises:
        ValueError: the text is no number, or may be one of two numbers.
    """
    if not decimal_comma and _PLAIN.fullmatch(text):
        return Amount(float(text))
    written = trim(text.translate(_ALIKE))
    if not written or written in "–—" or (written.lower() in MISSING_MARKERS and written.lower() != "nan"):
        return None
    if _SPECIAL.fullmatch(written):
        return Amount(float(written))
    negative = written[0] == "(" and written[-1] == ")"
    found = _WRITTEN.fullmatch(written[1:-1].strip(" ") if negative else written)
    signs = "" if found is None else found["sign"] + found["inner"] + found["behind"]
    if found is None or len(signs) + negative > 1 or (found["before"] and found["after"]):
        raise _no_number(written)
    named = found["before"] or found["after"]
    currency = read_currency(named) if named else ""
    if currency is None:
        raise _no_number(written)
    value = _read_digits(found["number"], written, decimal_comma=decimal_comma)
    return Amount(-value if negative or signs == "-" else value, currency)


def read_number(text: str, *, decimal_comma: bool = False) -> float | None:
    """Read a number as `read_amount` does, without its currency."""
    amount = read_amount(text, decimal_comma=decimal_comma)
    return None if amount is None else amount.value


def _no_number(written: str) -> ValueError:
    return ValueError(f"{written[:80]!r} is not a number")


def read_currency(name: str) -> str | None:
    """Read the name of a currency: its code of ISO 4217, or its sign if several countries share that."""
    upper = trim(name).upper()
    if upper in _CODES:
        return upper
    if upper in _SIGNS:
        return _SIGNS[upper]
    shared = upper in _SHARED_SIGNS or (len(upper) == 1 and unicodedata.category(upper) == "Sc")
    return upper.lower().rstrip(".") if shared else None


def _read_digits(number: str, written: str, *, decimal_comma: bool) -> float:
    """The value of digits and the marks between them."""
    if _POINTED.fullmatch(number):
        if decimal_comma and _GROUPS.fullmatch(number):
            raise _ambiguous(written, number, ".")
        return float(number)
    if number.startswith(","):
        number = "0" + number
    if not _MARKED.fullmatch(number):
        raise _no_number(written)
    if _GROUPS.fullmatch(number):
        if number.count(",") != 1 or " " in number or "'" in number:
            return float(number.translate(_NO_MARKS))
        if not decimal_comma:
            raise _ambiguous(written, number, ",")
    mark = max(".,", key=number.rfind)
    whole, _, fraction = number.rpartition(mark)
    if not fraction.isdigit() or not (whole.isdigit() or (_GROUPS.fullmatch(whole) and mark not in whole)):
        raise _no_number(written)
    return float(f"{whole.translate(_NO_MARKS)}.{fraction}")


def _ambiguous(written: str, number: str, mark: str) -> ValueError:
    grouped, decimal = number.replace(mark, ""), number.replace(mark, ".")
    plain = decimal if mark == "," else number.replace(mark, ",")
    return ValueError(f"{written[:80]!r} may be {grouped} or {decimal}; write {grouped} or {plain}")
