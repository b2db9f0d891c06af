"""Ids, and the words of items."""

import pytest

from portrait.features.logs.descriptions import decode_entities, read_brand, read_categories, read_description
from portrait.features.logs.identifiers import is_placeholder, read_id, read_text


@pytest.mark.parametrize(
    "text",
    [
        "undefined", "null", "NULL", "NaN", "nan", "None", "(not set)", "N/A", "#N/A", "NA", "[object Object]", "\\N",
        "00000000-0000-0000-0000-000000000000", "0" * 32, "-",
        "", " ", "\t", "\u00a0", "\u200b", "\ufeff", "\u2060", "\u00ad", "\u3164", "\u3000\u200d", " null\u200b",
    ],
)  # fmt: skip
def test_what_stands_for_no_id_is_none(text: str) -> None:
    assert read_id(text) is None
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["0", "-1", "guest", "None of these", "0000-0000", "1e5", "\u200bs\u200b"])
def test_an_id_that_a_shop_may_mean_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)
    assert is_placeholder("1.23E+11")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\ufeffsku\u200b", "sku"),
        (" a b\t", "a b"),
        ("0012", "0012"),
        ("nullable", "nullable"),
        ("x\u200by", "x\u200by"),
    ],
)
def test_an_id_is_trimmed(text: str, read: str) -> None:
    assert read_id(text) == read


def test_text_stays_as_it_stands_unless_it_shows_nothing() -> None:
    assert read_text(" undefined ") == " undefined "
    assert read_text("\u200b\u3000") is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("Caf&eacute; &#8211; &#x41;", "Café – A"),
        ("AT&T R&D ?a=1&reg=2", "AT&T R&D ?a=1&reg=2"),
        ("&unknown; &;", "&unknown; &;"),
    ],
)
def test_entities_are_decoded_once(text: str, read: str) -> None:
    assert decode_entities(text) == read_description(text) == read


def test_words_that_show_nothing_are_none() -> None:
    assert read_description("&nbsp;") is read_description("\u200b") is read_brand("N/A") is None
    assert read_brand(" Procter &amp; Gamble ") == "Procter & Gamble"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Home > Lamps", ["Home", "Lamps"]),
        ("Home &amp; Garden &gt; Lamps", ["Home & Garden", "Lamps"]),
        ('["Beauty", "Hair > Care", null, 3]', ["Beauty", "Hair > Care", "3"]),
        ("['Beauty', 'Hair Care']", ["Beauty", "Hair Care"]),
        ("['Men\\'s', \"Women's\", None, nan]", ["Men's", "Women's"]),
        ("['Beauty' 'Hair Care']", ["Beauty", "Hair Care"]),
        ("[['Beauty', 'Hair'], ['Gifts']]", ["Beauty", "Hair"]),
        ('[["Beauty", "Hair"], ["Gifts"]]', ["Beauty", "Hair"]),
        ("('A', 'B &amp; C')", ["A", "B & C"]),
        ("[New] Shoes > Boots", ["[New] Shoes", "Boots"]),
        ("[]", []),
        ("nan", []),
        ("", []),
    ],
)
def test_categories_are_a_list_however_it_is_written(text: str, names: list[str]) -> None:
    assert read_categories(text) == names


@pytest.mark.parametrize("text", ['["\\ud800"]', "['\\ud800']"])
def test_half_a_character_is_no_category(text: str) -> None:
    with pytest.raises(ValueError, match="half a surrogate pair"):
        read_categories(text)
