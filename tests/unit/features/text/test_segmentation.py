"""Words of texts in every script."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.text.keywords import extract_keywords
from portrait.features.text.normalisation import normalise_text
from portrait.features.text.segmentation import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी कपड़े साड़ी", ["हिन्दी", "कपड़े", "साड़ी"]),
        ("தமிழ் சட்டை, கைத்தறி", ["தமிழ்", "சட்டை", "கைத்தறி"]),
        ("বাংলা শাড়ি", ["বাংলা", "শাড়ি"]),
        ("فُسْتَان أَحْمَر", ["فُسْتَان", "أَحْمَر"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("می\u200cخواهم کفش", ["می\u200cخواهم", "کفش"]),
        ("เสื้อยืดสีแดง", ["เสื้อ", "ยืด", "สี", "แดง"]),
        ("น้ำหอมผู้ชาย 50ml", ["น้ำหอม", "ผู้ชาย", "50ml"]),
        ("ខោអាវខ្មែរ", ["ខោអាវ", "ខ្មែរ"]),
        ("ເສື້ອຍືດ", ["ເສື້ອ", "ຍືດ"]),
        ("မြန်မာဘာသာ", ["မြန်မာဘာသာ"]),
        ("සිංහල ඇඳුම්", ["සිංහල", "ඇඳුම්"]),
        ("한국어 셔츠", ["한국어", "셔츠"]),
        ("苹果手机的保护套", ["苹果", "手机", "的", "保护套"]),
        ("women’s 3.5oz user_id HQ912/15", ["women’s", "3.5oz", "user", "id", "HQ912", "15"]),
    ],
)
def test_words_stay_whole(text: str, words: list[str]) -> None:
    assert list(split_words(normalise_text(text))) == [normalise_text(word) for word in words]


@pytest.mark.parametrize("text", ["साड़ी", "சட்டை", "শাড়ি", "เสื้อ", "فُسْتَان"])
def test_a_word_of_any_script_is_a_keyword(text: str) -> None:
    assert [keyword.surface for keyword in extract_keywords(text)] == [normalise_text(text)]


@given(st.text())
def test_no_word_begins_with_a_mark_and_all_stand_in_the_text_in_order(text: str) -> None:
    normal, end = normalise_text(text), 0
    for word in split_words(normal):
        assert not unicodedata.category(word[0]).startswith("M")
        end = normal.index(word, end) + len(word)
    letters = {letter for letter in normal if unicodedata.category(letter)[0] == "L"}
    assert letters <= set("".join(split_words(normal))) or any(letter >= "\u4e00" for letter in letters)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["เสื้อ", "हि", "a", "1,", "don't", "手", "é\u0301\u0302", "'"])
def test_a_long_text_is_cut_as_its_parts_are(unit: str) -> None:
    """A text of megabytes ends: nothing is looked at again and again."""
    assert sum(1 for _ in split_words(unit * 200_000)) <= 400_000
