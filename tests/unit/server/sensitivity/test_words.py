"""Words as topics are looked for: inflected, misspelt, joined, split and disguised ones."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portrait.server.sensitivity.words import Lexicon, drop_plural, split_text

LETTERS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
WORDS = ("pregnancy", "condom", "lottery", "psychotherapist")
COMMON = {"condo", "lotter"}
LEXICON = Lexicon(WORDS, WORDS, COMMON.__contains__)


@pytest.mark.parametrize(
    ("misspelt", "read"),
    [
        ("condmo", "condom"),
        ("condomn", "condom"),
        ("lotery", "lottery"),
        ("psychoterapits", "psychotherapist"),
        ("cndmo", "cndmo"),
        ("psicoterapits", "psicoterapit"),
    ],
)
def test_letters_may_be_added_left_out_replaced_or_swapped_more_of_them_in_long_words(misspelt: str, read: str) -> None:
    assert LEXICON.read(misspelt) == read


@given(st.sampled_from(WORDS), st.data())
def test_one_wrong_letter_behind_the_first_is_forgiven(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(word) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
    wrong = data.draw(
        st.sampled_from([word[:place] + letter + word[place:], word[:place] + letter + word[place + 1 :]])
    )
    assume(drop_plural(wrong) not in COMMON)
    assert LEXICON.read(wrong) == word


@given(LETTERS)
def test_a_word_is_read_as_itself_or_as_one_of_the_topics(word: str) -> None:
    assert LEXICON.read(word) in {*WORDS, drop_plural(word)}


def test_a_common_word_is_no_misspelling() -> None:
    assert LEXICON.read("condo") == "condo"
    assert LEXICON.read("condon") == "condom"


@pytest.mark.parametrize(
    ("written", "read"),
    [("pregnancies", "pregnancy"), ("pr3gnancy", "pregnancy"), ("l0ttery", "lottery"), ("pregnancytest", "pregnancy")],
)
def test_inflected_and_disguised_words_are_read(written: str, read: str) -> None:
    assert LEXICON.read(written) == read


def test_a_word_in_two_parts_is_joined_unless_both_are_common() -> None:
    assert LEXICON.join("con", "doms") == "condom"
    assert Lexicon(WORDS, WORDS, lambda _: True).join("con", "doms") is None


@pytest.mark.parametrize(
    ("text", "words", "han"),
    [
        ("don't panic", ["don't", "panic"], ""),
        ("b i b l e cover", ["bible", "cover"], ""),
        ("a b test", ["a", "b", "test"], ""),
        ("怀 孕 test", ["test"], "怀孕"),
        ("安全 套装", [], "安全 套装"),
        ("避-孕-套 大号", [], "避孕套 大号"),
    ],
)
def test_a_text_is_split(text: str, words: list[str], han: str) -> None:
    assert split_text(text) == (words, han)


@given(st.text(max_size=200))
def test_any_text_can_be_split(text: str) -> None:
    words, han = split_text(text.casefold())
    assert all(words)
    assert han == han.strip()
