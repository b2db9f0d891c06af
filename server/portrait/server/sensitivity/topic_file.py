"""The file of sensitive topics: TOML, a table `[topics.NAME]` for each, and what the operator allows.

Portrait ships `topics.toml` beside this module. A file of the operator adds to it; with `extends = false` it replaces
it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from portrait.server.runtime.toml_file import TomlFileError, read_toml_file
from portrait.server.sensitivity.words import split_text

MAX_TOPICS = 60
"""A set of topics is one number of 64 bits."""
_MAX_ENTRIES = 20_000
_SHIPPED = Path(__file__).with_name("topics.toml")

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
_Entry = Annotated[str, Field(min_length=1, max_length=200)]
_Entries = Annotated[tuple[_Entry, ...], Field(max_length=_MAX_ENTRIES)]


class TopicsError(Exception):
    """The file of sensitive topics can't be used; the message names the place and the limit."""


class DataUse(StrEnum):
    """A use of events of a topic, which the operator may allow."""

    PROFILE = "profile"
    """Every field of a profile."""
    EXPLANATION = "explanation"
    """Being named in explanations; those of profiles need `profile` as well."""
    AUDIENCE = "audience"
    """Criteria of audiences, and likeness to other shoppers."""
    RECOMMENDATION = "recommendation"
    """The order of recommendations and candidates; items of a topic with an age are only shown with this use."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _require_one_script(entry: str) -> str:
    words, han = split_text(entry.casefold())
    if bool(words) == bool(han):
        raise ValueError(f"{entry!r} is not made of words of an alphabet, or else of Chinese characters")
    return entry


_Word = Annotated[_Entry, AfterValidator(_require_one_script)]
_Words = Annotated[tuple[_Word, ...], Field(max_length=_MAX_ENTRIES)]


class Topic(_Table):
    """A topic, and how it is recognised."""

    words: _Words = ()
    """Words and phrases. Parts of a Chinese entry, between spaces, may stand anywhere in a text."""
    categories: _Entries = ()
    """Whole names of categories, or several joined by ` > `."""
    exceptions: _Words = ()
    """Phrases in which the words mean something else."""
    min_age: int | None = Field(None, ge=1, le=65)
    """The topic is withheld from a shopper unless they declared at least this age; None if it is withheld from all."""

    def extend(self, other: "Topic") -> "Topic":
        """Add the entries of another table of the same topic; its age, if it has one, replaces this one."""
        return Topic(
            words=self.words + other.words,
            categories=self.categories + other.categories,
            exceptions=self.exceptions + other.exceptions,
            min_age=self.min_age if other.min_age is None else other.min_age,
        )


class _TopicFile(_Table):
    extends: bool = True
    """True if the topics that Portrait ships count too."""
    allow: dict[str, tuple[DataUse, ...]] = {}
    topics: dict[_Name, Topic] = {}

    @model_validator(mode="after")
    def _require_known_topics(self) -> Self:
        known = {*self.topics, *(_read_shipped().topics if self.extends and self.allow else ())}
        if unknown := sorted(set(self.allow) - known):
            raise ValueError(f"allow names {unknown[0]}, which is no topic; there are {', '.join(sorted(known))}")
        return self


class TopicPolicy:
    """Topics in a fixed order, and the uses that the operator allows. A set of topics is a number with a bit for each.

    Args:
        topics: by name.
        allow: the allowed uses by topic.
    """

    def __init__(self, topics: Mapping[str, Topic], allow: Mapping[str, tuple[DataUse, ...]] | None = None) -> None:
        self.topics = dict(topics)
        self._allow = {name: frozenset(uses) for name, uses in (allow or {}).items()}
        self.aged = _join_bits(topic.min_age is not None for topic in self.topics.values())
        """The topics that need a declared age."""

    def find_withheld(self, uses: frozenset[DataUse], min_age: int) -> int:
        """Find the topics whose events and items may not be used.

        Args:
            uses: what for; a topic must be allowed for all of them.
            min_age: the shopper is at least so old, by declaration; 0 if nothing is declared.
        """
        return _join_bits(
            not uses <= self._allow.get(name, frozenset()) and (topic.min_age is None or topic.min_age > min_age)
            for name, topic in self.topics.items()
        )

    def list_allowed(self, name: str) -> list[DataUse]:
        """List the uses that the operator allows for a topic."""
        return sorted(self._allow.get(name, ()))

    def list_names(self, topics: int) -> list[str]:
        """List the names of a set of topics."""
        return [name for place, name in enumerate(self.topics) if topics >> place & 1]

    @property
    def identity(self) -> str:
        """A hash of topics and allowed uses: another one for every change of the file."""
        told = [f"{name}={topic.model_dump_json()}" for name, topic in self.topics.items()]
        told += [f"{name}:{','.join(sorted(uses))}" for name, uses in sorted(self._allow.items())]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


def read_topic_policy(path: Path | None) -> TopicPolicy:
    """Read a file of topics.

    Args:
        path: the operator's file; None for the shipped topics, of which nothing is allowed.

    Raises:
        TopicsError: the file can't be read, or breaks a limit.
    """
    shipped = _read_shipped()
    if path is None:
        return TopicPolicy(shipped.topics)
    try:
        own = read_toml_file(path, _TopicFile)
    except TomlFileError as error:
        raise TopicsError(f"sensitive: {error}") from None
    topics = dict(shipped.topics) if own.extends else {}
    for name, topic in own.topics.items():
        topics[name] = topics[name].extend(topic) if name in topics else topic
    if len(topics) > MAX_TOPICS:
        raise TopicsError(f"sensitive: {path}: {len(topics)} topics; the limit is {MAX_TOPICS}")
    return TopicPolicy(topics, own.allow)


def _read_shipped() -> _TopicFile:
    return read_toml_file(_SHIPPED, _TopicFile)


def _join_bits(bits: Iterable[bool]) -> int:
    return sum(1 << place for place, bit in enumerate(bits) if bit)


NO_TOPICS = TopicPolicy({})
"""Withholds nothing."""
