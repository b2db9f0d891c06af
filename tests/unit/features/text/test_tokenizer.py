"""Tokens of long texts: the same, whether all of a text is read or its first words."""

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from portrait.features.text.tokenizer import MAX_TOKENS, TextTokenizer

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "lamp",
    "red",
    "##s",
    "r",
    "##e",
    "##d",
    "1",
    "##1",
    "灯",
    ",",
    "extraordinarily",
]


def tokenizer() -> Tokenizer:
    made = Tokenizer(WordPiece({token: number for number, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


WORDS = st.sampled_from(
    ["lamp", "reds", "11111", "灯灯", "lamp,red", "extraordinarily", "x" * 300, "\u0301", "é", "\u200b"]
)


@given(st.lists(st.lists(WORDS, max_size=200).map(" ".join), max_size=5))
def test_long_texts_have_the_tokens_of_all_of_their_words(texts: list[str]) -> None:
    whole = tokenizer()
    whole.enable_truncation(MAX_TOKENS)
    expected = [encoding.ids for encoding in whole.encode_batch(texts)]
    assert TextTokenizer(tokenizer()).encode(texts) == expected


def test_a_long_text_whose_first_words_do_not_fill_all_places_is_read_to_its_end() -> None:
    texts = ["extraordinarily " * 60 + "lamp", "x" * 1_000 + " lamp", "\u200b " * 500 + "lamp"]
    assert all(VOCABULARY.index("lamp") in ids for ids in TextTokenizer(tokenizer()).encode(texts))
