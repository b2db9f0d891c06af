"""Amounts, units, pack words, sizes and model numbers are no words of note, whether or not anybody listed them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portrait.features.text.normalisation import normalise_text
from portrait.features.text.salient_words import KNOWN_NAMES, extract_salient_keywords, is_salient


def said(text: str) -> list[str]:
    return [word.surface for word in extract_salient_keywords(text)]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Sft drnk 2 liter btl carb incl", ["carb"]),
        ("SFT DRNK 12/18&15PK CAN CAR", ["CAR"]),
        ("Mineral water 12x330ml", ["Mineral", "water"]),
        ("Cola 12 x 330 ml, 6 pk 8 oz 12 ct", ["Cola"]),
        ("Frischmilch 3,5% 1 Liter, 24 Stk.", ["Frischmilch"]),
        ("Servietten 20 Stück", ["Servietten"]),
        ("Brosses à dents, lot de 3 pièces", ["Brosses", "dents"]),
        ("Calcetines 6 uds", ["Calcetines"]),
        ("Носки 3 шт", ["Носки"]),
        ("Fresh milk, 2 x 1 gal, 6 bottles", ["Fresh", "milk"]),
        ("Water bottle", ["Water", "bottle"]),
        ("Cotton shirt XL", ["Cotton", "shirt"]),
        ("Cotton shirt Size XXL 3XL", ["Cotton", "shirt"]),
        ("Sony WH-1000XM4 headphones", ["Sony", "headphones"]),
        ("Samsung SM-G991B Galaxy", ["Samsung", "Galaxy"]),
        ("DeWalt DCD796 drill B07XJ8C8F5", ["DeWalt", "drill"]),
        ("Omega-3 capsules iphone12 mp3", ["Omega", "capsules", "iphone12", "mp3"]),
        ("Dry sky gym USB LED BBQ tv", ["Dry", "sky", "gym", "USB", "LED", "BBQ", "tv"]),
        ("Gaming chair from BMW or DKNY", ["Gaming", "chair", "BMW", "DKNY"]),
        ("鲜牛奶 250毫升", ["鲜牛奶"]),
        ("牛奶500克装", ["牛奶"]),
        ("牛奶-250ml*12盒", ["牛奶"]),
        ("Tee-20 Btl, EOS-5D camera, A4-Papier", ["Tee", "camera", "Papier"]),
        ("1 Flasche Wein 0,75 l; 2er-Pack Seife", ["Wein", "Seife"]),
        ("酸奶 六瓶装", ["酸奶"]),
        ("绿茶 一盒 100克", ["绿茶"]),
        ("保温杯550ml 2只装", ["保温杯"]),
    ],
)
def test_what_says_how_much_is_not_of_note(title: str, expected: list[str]) -> None:
    assert said(title) == expected


@pytest.mark.parametrize(
    "word",
    [
        "liter", "Litre", "Sft", "btl", "oz", "pk", "Stk", "pièces", "XL", "xxs", "12x330ml", "500g", "毫升",
        "克", "装", "ltr", "pkg", "szt", "шт", "1080p", "256GB", "G991B", "DCB205", "瓶装", "套装",
    ],
)  # fmt: skip
def test_units_and_codes_are_not_of_note(word: str) -> None:
    assert not is_salient(word)


@pytest.mark.parametrize(
    "word",
    ["milk", "Lamp", "café", "台灯", "牛奶", "包", "молоко", "γάλα", "חלב", "TV", "rhythm", "精装", "ぎゅうにゅう"],
)
def test_goods_are_of_note(word: str) -> None:
    assert is_salient(word)


@given(st.integers(1, 999), st.text("bcdfghjklmnpqrstvwxz", min_size=2, max_size=6), st.sampled_from([" ", "", "-"]))
def test_no_unit_that_nobody_listed_is_told(count: int, unit: str, space: str) -> None:
    """Every shop has its own."""
    assume(unit not in KNOWN_NAMES)
    assert said(f"Fresh milk {count}{space}{unit}") == ["Fresh", "milk"]


@given(st.text(max_size=60))
def test_words_of_note_stand_in_their_text(text: str) -> None:
    for word in extract_salient_keywords(text):
        assert word.surface in normalise_text(text)
        assert is_salient(word.surface, shouted=not word.surface.isupper())
