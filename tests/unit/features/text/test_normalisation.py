"""One spelling of a text, whichever way it is reached."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from portrait.features.text.normalisation import MAX_CHARACTERS, normalise_text

ASCII = st.text(st.characters(max_codepoint=0x7F), max_size=2 * MAX_CHARACTERS)


@given(st.one_of(ASCII, st.text()))
def test_plain_texts_are_spelt_as_all_others(text: str) -> None:
    folded = unicodedata.normalize("NFKC", text[: 4 * MAX_CHARACTERS])
    spelt = re.sub(r"[\x00-\x20\x7f-\xa0\u200b\u2028\u2029\ufeff]+", " ", folded).strip()[:MAX_CHARACTERS]
    assert normalise_text(text) == spelt


def test_long_plain_texts_are_cut_where_all_others_are() -> None:
    for padding in (" ", "  "):
        text = padding + "word " * (2 * MAX_CHARACTERS)
        assert normalise_text(text) == ("word " * MAX_CHARACTERS)[:MAX_CHARACTERS]
