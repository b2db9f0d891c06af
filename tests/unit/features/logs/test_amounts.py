"""Numbers as people and spreadsheets write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.logs.amounts import Amount, read_amount, read_number


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12.5", (12.5, "")),
        ("0,500", (0.5, "")),
        ("12,5", (12.5, "")),
        ("1.234,56", (1234.56, "")),
        ("1,234.56", (1234.56, "")),
        ("1,234.567", (1234.567, "")),
        ("1,234,567", (1234567.0, "")),
        ("1.234.567", (1234567.0, "")),
        ("1,23,456.00", (123456.0, "")),
        ("1'234.50", (1234.5, "")),
        ("1’234.50", (1234.5, "")),
        ("1 234,5", (1234.5, "")),
        ("1\u00a0234,567", (1234.567, "")),
        ("1\u202f234", (1234.0, "")),
        ("€ 12,90", (12.9, "EUR")),
        ("12,90\u00a0€", (12.9, "EUR")),
        ("12.90 EUR", (12.9, "EUR")),
        ("$1,299.00", (1299.0, "USD")),
        ("US$ 5", (5.0, "USD")),
        ("R$ 5,50", (5.5, "BRL")),
        ("¥100", (100.0, "¥")),
        ("1 299 kr", (1299.0, "kr")),
        ("Rs.500", (500.0, "INR")),
        ("(12.90)", (-12.9, "")),
        ("($12.90)", (-12.9, "USD")),
        ("12.90-", (-12.9, "")),
        ("\u22125", (-5.0, "")),
        ("-$5", (-5.0, "USD")),
        ("１２．５", (12.5, "")),
        ("1e3", (1000.0, "")),
        ("inf", (math.inf, "")),
    ],
)
def test_a_number_has_one_value_however_it_is_written(text: str, amount: tuple[float, str]) -> None:
    assert read_amount(text) == amount
    assert read_amount(f"\ufeff {text}\t") == amount


@pytest.mark.parametrize("text", ["", " ", "\u200b", "-", "–", "—", "null", "N/A", "undefined"])
def test_a_dash_or_a_word_for_nothing_is_no_number(text: str) -> None:
    assert read_amount(text) is None


@pytest.mark.parametrize(("text", "value"), [("1,299", 1.299), ("12,5", 12.5), ("1.234,5", 1234.5), ("12.5", 12.5)])
def test_where_commas_are_decimal_a_lone_comma_is(text: str, value: float) -> None:
    assert read_number(text, decimal_comma=True) == value


@pytest.mark.parametrize(("text", "decimal_comma"), [("1,299", False), ("$999,000", False), ("1.299", True)])
def test_what_may_be_one_of_two_is_refused_with_both(text: str, decimal_comma: bool) -> None:
    digits = text.strip("$")
    with pytest.raises(ValueError, match=f"may be {digits[:-4]}{digits[-3:]} or {digits[:-4]}\\.{digits[-3:]}"):
        read_amount(text, decimal_comma=decimal_comma)


@pytest.mark.parametrize(
    "text",
    [
        "cheap",
        "1.2.3",
        "1,2,3",
        "0,000,000",
        "12 34",
        "5,",
        "--5",
        "(-5)",
        "1_000",
        "0x10",
        "5²",
        "٣",
        "12%",
        "5 PCS",
        "true",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        read_amount(text)


@given(st.floats(allow_nan=False) | st.integers().map(float))
def test_what_python_writes_is_read_back(value: float) -> None:
    assert read_amount(repr(value)) == Amount(value)


@given(st.text(max_size=20), st.booleans())
def test_any_text_is_read_or_refused(text: str, decimal_comma: bool) -> None:
    try:
        read_amount(text, decimal_comma=decimal_comma)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
