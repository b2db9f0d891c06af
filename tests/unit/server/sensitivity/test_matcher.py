"""Topics of texts and categories, by a list of the test's own and by the one that Portrait ships."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.server.sensitivity.matcher import TopicMatcher
from portrait.server.sensitivity.topic_file import Topic, TopicPolicy, read_topic_policy

POLICY = TopicPolicy(
    {
        "pregnancy": Topic(
            words=("pregnant", "baby shower", "安全套", "月子 餐"),
            categories=("Maternity", "Health > Family Planning"),
            exceptions=("pregnant pause", "安全套装"),
        ),
        "tea": Topic(words=("tea", "pregnant"), min_age=18),
    }
)
MATCHER = TopicMatcher(POLICY)
SHIPPED = read_topic_policy(None)
SHIPPED_MATCHER = TopicMatcher(SHIPPED)


def names(text: str) -> list[str]:
    return POLICY.list_names(MATCHER.match_text(text))


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("Clothes for PREGNANT women", ["pregnancy", "tea"]),
        ("baby showers", ["pregnancy"]),
        ("baby clothes, shower gel", []),
        ("baby | shower", ["pregnancy"]),
        ("a pregnant pause", ["tea"]),
        ("a pregnant pause of a pregnant woman", ["pregnancy", "tea"]),
        ("green teas", ["tea"]),
        ("team", []),
        ("超薄安全套十只", ["pregnancy"]),
        ("安全套装", []),
        ("安全 套装", []),
        ("月子 营养餐", ["pregnancy"]),
        ("月子", []),
        ("", []),
    ],
)
def test_a_text_has_topics_unless_it_means_something_else(text: str, topics: list[str]) -> None:
    assert names(text) == topics


@pytest.mark.parametrize(
    ("path", "topics"),
    [
        (("Clothes", "maternity", "Jeans"), ["pregnancy"]),
        (("Health", "Family Planning"), ["pregnancy"]),
        (("Family Planning",), []),
        (("Health", "Other", "Family Planning"), []),
        (("Drinks", "Black Tea"), ["tea"]),
        ((), []),
    ],
)
def test_a_category_has_topics_by_its_names_and_words(path: tuple[str, ...], topics: list[str]) -> None:
    assert POLICY.list_names(MATCHER.match_path(path)) == topics


@given(st.text(max_size=300))
def test_any_text_has_topics_that_exist(text: str) -> None:
    assert 0 <= SHIPPED_MATCHER.match_text(text) < 1 << len(SHIPPED.topics)


@given(st.sampled_from([(name, word) for name, topic in SHIPPED.topics.items() for word in topic.words]))
def test_each_shipped_word_tells_its_topic_unless_it_is_excepted(entry: tuple[str, str]) -> None:
    name, word = entry
    alone = TopicMatcher(TopicPolicy({name: Topic(words=(word,))}))
    assert alone.match_text(word) == 1
    assert alone.match_text(f"something {word} else") == 1


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("health food store shelf", None),
        ("political map puzzle", None),
        ("cross stitch", None),
        ("pregnant pause", None),
        ("gay talese novel", None),
        ("gay pride parade", "sexuality"),
        ("early pregnancy tests", "pregnancy"),
        ("验孕棒", "pregnancy"),
        ("debt collection letter", "finances"),
        ("craft beer", "alcohol"),
    ],
)
def test_the_shipped_list_knows_what_is_meant(text: str, topic: str | None) -> None:
    assert SHIPPED.list_names(SHIPPED_MATCHER.match_text(text)) == ([topic] if topic else [])
