"""The file of topics: what it adds, replaces, allows and refuses."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.server.sensitivity.topic_file import DataUse, Topic, TopicPolicy, TopicsError, read_topic_policy

USES = st.frozensets(st.sampled_from(DataUse), min_size=1)
SENSITIVE = {"health", "sexuality", "religion", "politics", "ethnicity", "pregnancy", "addiction", "finances"}
AGED = {"alcohol", "tobacco", "adult", "weapons", "gambling"}


def write(folder: Path, content: str) -> Path:
    path = folder / "topics.toml"
    path.write_text(content, encoding="utf-8")
    return path


@given(USES, st.integers(0, 100))
def test_without_a_file_all_shipped_topics_are_withheld(uses: frozenset[DataUse], min_age: int) -> None:
    policy = read_topic_policy(None)
    assert set(policy.topics) == SENSITIVE | AGED
    expected = SENSITIVE | (set() if min_age >= 18 else AGED)
    assert set(policy.list_names(policy.find_withheld(uses, min_age))) == expected


@given(USES, USES)
def test_a_topic_must_be_allowed_for_every_use(allowed: frozenset[DataUse], uses: frozenset[DataUse]) -> None:
    policy = TopicPolicy({"a": Topic(words=("a b",)), "b": Topic(min_age=21)}, {"a": tuple(allowed)})
    assert policy.list_names(policy.find_withheld(uses, 18)) == (["b"] if uses <= allowed else ["a", "b"])
    assert policy.list_names(policy.find_withheld(uses, 21)) == ([] if uses <= allowed else ["a"])


def test_a_file_adds_to_the_shipped_topics(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "[allow]\nfinances = ['recommendation']\n[topics.health]\nwords = ['zorbing']\n"
        "[topics.alcohol]\nmin_age = 21\n[topics.hats]\nwords = ['hat']\n",
    )
    policy = read_topic_policy(path)
    assert policy.topics["health"].words[-1] == "zorbing"
    assert len(policy.topics["health"].words) > 100
    assert policy.topics["alcohol"].min_age == 21
    assert "hats" in policy.topics
    withheld = policy.list_names(policy.find_withheld(frozenset({DataUse.RECOMMENDATION}), 25))
    assert set(withheld) == SENSITIVE - {"finances"} | {"hats"}


def test_a_file_can_replace_the_shipped_topics(tmp_path: Path) -> None:
    assert set(read_topic_policy(write(tmp_path, "extends = false\n[topics.hats]\nwords = ['hat']\n")).topics) == {
        "hats"
    }
    assert read_topic_policy(write(tmp_path, "extends = false\n")).find_withheld(frozenset({DataUse.PROFILE}), 0) == 0


def test_every_change_has_another_identity(tmp_path: Path) -> None:
    contents = (
        "",
        "[allow]\nhealth = ['profile']",
        "[topics.health]\nwords = ['hat']",
        "[topics.alcohol]\nmin_age = 20",
    )
    found = [read_topic_policy(write(tmp_path, each)).identity for each in contents]
    assert len({*found}) == len(contents)
    assert found[0] == read_topic_policy(None).identity


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("[topics.health]\nwords = ['a', 1]", "topics.health.words.1"),
        ("[topics.health]\nwords = ['怀孕 test']", "topics.health.words.0: '怀孕 test' is not made of"),
        ("[topics.health]\nexceptions = ['—']", "topics.health.exceptions.0"),
        ("[topics.health]\nmin_age = 0", "topics.health.min_age"),
        ("[topics.Health]\nwords = ['a']", "topics.Health"),
        ("[topics.health]\nword = ['a']", "topics.health.word"),
        ("[allow]\nhealth = ['sale']", "allow.health.0"),
        ("[allow]\nhats = ['profile']", "allow names hats, which is no topic; there are addiction,"),
        ("extends = false\n[allow]\nhealth = ['profile']", "allow names health"),
        ("[topics", "topics.toml"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, content: str, place: str) -> None:
    with pytest.raises(TopicsError) as refused:
        read_topic_policy(write(tmp_path, content))
    assert str(tmp_path / "topics.toml") in str(refused.value)
    assert place in str(refused.value)


def test_a_missing_file_and_too_many_topics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TopicsError, match="No such file"):
        read_topic_policy(tmp_path / "none.toml")
    with pytest.raises(TopicsError, match="the limit is 60"):
        read_topic_policy(write(tmp_path, "\n".join(f"[topics.t{number}]" for number in range(48))))
