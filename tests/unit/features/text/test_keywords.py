import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.text.keywords import Keyword, extract_keywords, remove_word
from portrait.features.text.normalisation import normalise_text


def stems(text: str) -> list[str]:
    return [keyword.stem for keyword in extract_keywords(text)]


def test_inflected_forms_share_a_stem_and_keep_their_spelling() -> None:
    assert extract_keywords("Running Shoe") == [Keyword("run", "Running"), Keyword("shoe", "Shoe")]
    assert stems("run shoes") == stems("Running Shoe")


def test_stop_words_numbers_and_single_letters_are_left_out() -> None:
    assert stems("The best of 2024: a pair of x 12 headphones") == ["pair", "headphon"]


def test_units_are_left_out_and_what_they_measure_is_not() -> None:
    assert stems("Toilet tissue, 284.6 sq ft") == stems("toilet tissue 12 CT.") == ["toilet", "tissu"]


@pytest.mark.parametrize("goods", ["ring", "TV", "mug", "men", "Computer", "home"])
def test_goods_are_no_stop_words(goods: str) -> None:
    assert len(extract_keywords(goods)) == 1


def test_chinese_is_cut_into_words_without_stop_words() -> None:
    surfaces = [keyword.surface for keyword in extract_keywords("苹果手机的保护套")]
    assert surfaces == ["苹果", "手机", "保护套"]


def test_scripts_mix_in_one_title() -> None:
    surfaces = [keyword.surface for keyword in extract_keywords("PHILIPS飞利浦HQ912/15电动剃须刀")]
    assert {"PHILIPS", "飞利浦", "HQ912", "剃须刀"} <= set(surfaces)
    assert stems("Crème brûlée Straße") == ["crème", "brûlée", "strass"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("青竹牌保温杯550ml 2只装", ["青竹", "牌", "保温杯", "550ml", "装"]),
        ("４．３寸防刮屏手机（ＣＤＭＡ）", ["防刮屏", "手机", "CDMA"]),
        ("1.2GHz双核 9.9mm超薄平板", ["1.2GHz", "双核", "9.9mm", "超薄", "平板"]),
        ("儿童绘本0-3岁(套装10册)", ["儿童", "绘本", "套装"]),
        ("5周年精装", ["周年", "精装"]),
        ("绿茶 一盒", ["绿茶", "一盒"]),
        ("茶", ["茶"]),
        ("保護套", ["保護套"]),
    ],
)
def test_chinese_titles_are_cut_as_a_shopper_reads_them(title: str, expected: list[str]) -> None:
    assert [keyword.surface for keyword in extract_keywords(title)] == expected


def test_possessives_lose_their_ending() -> None:
    assert stems("women's women’s women") == ["women", "women", "women"]


@pytest.mark.parametrize("text", ["", " ", "😀🎧", "!!! --- ...", "\x00\x07", "的 了"])
def test_a_text_that_says_nothing_has_none(text: str) -> None:
    assert extract_keywords(text) == []


@given(st.text())
def test_any_text_gives_keywords_that_stand_in_it(text: str) -> None:
    normalised = normalise_text(text)
    for keyword in extract_keywords(text):
        assert keyword.stem
        assert keyword.surface in normalised
    assert extract_keywords(text) == extract_keywords(normalised)


def test_threads_agree() -> None:
    texts = [f"stemming {word}{number}ing things" for number in range(500) for word in ("run", "jump", "bak")]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(stems, texts)) == [stems(text) for text in texts]


def test_thousands_of_titles_take_less_than_a_request() -> None:
    titles = [f"Stainless Steel Water Bottle {number} with Straw, 飞利浦电动剃须刀" for number in range(5000)]
    for title in titles[:10]:
        extract_keywords(title)
    start = time.process_time()
    for title in titles:
        extract_keywords(title)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("text", "word", "rest"),
    [
        ("Art party, Artisan ART art", "Art", "party, Artisan ART art"),
        ("a pan's pan (pan)", "pan", "a pan's ( )"),
        ("红色台灯 LED灯", "台灯", "红色 LED灯"),
        ("Lamp", "Lamp", ""),
        ("Ｌａｍｐ red", "Lamp", "red"),
        ("lamp", "rug", "lamp"),
    ],
)
def test_a_text_without_a_word_keeps_all_others(text: str, word: str, rest: str) -> None:
    assert remove_word(text, word) == rest


@given(st.text())
def test_any_keyword_can_be_left_out(text: str) -> None:
    for word in {each.surface for each in extract_keywords(text)}:
        assert remove_word(text, word) != normalise_text(text)
