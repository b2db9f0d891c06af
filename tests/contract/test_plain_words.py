"""Docstrings, constants, log events and names keep the rules of CONTRIBUTING, in all packages and tests."""

import ast
from pathlib import Path

import pytest
from support import plain_words

CHANGELOG = """# Changelog

### Names, English and rooms

| old | new |
|---|---|
| `portrait untie`, `towers` | `portrait tie`, `subspaces` |

### Other

| `Kept` | nothing |
"""


@pytest.fixture(scope="module")
def findings() -> list[str]:
    return plain_words.search([])


def test_docstrings_begin_with_a_verb_or_a_noun_phrase(findings: list[str]) -> None:
    assert not [finding for finding in findings if "docstring" in finding]


def test_bounds_are_called_max_and_min(findings: list[str]) -> None:
    assert not [finding for finding in findings if "MAX_" in finding]


def test_log_events_are_in_snake_case(findings: list[str]) -> None:
    assert not [finding for finding in findings if "log event" in finding]


def test_no_old_name_is_left(findings: list[str]) -> None:
    assert plain_words.read_old_names((plain_words.REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert not [finding for finding in findings if "old name" in finding]


@pytest.mark.parametrize(
    "source",
    [
        '"""Whether a module is found."""',
        'def f():\n    """How much it is."""',
        'class Count:\n    """Counts."""\n    size: int = 0\n    """Of all."""',
    ],
)
def test_a_docstring_that_begins_otherwise_is_found(source: str) -> None:
    assert len(list(plain_words.find_openings(ast.parse(source)))) == 1


def test_other_docstrings_pass() -> None:
    source = 'def f():\n    """Whatever the locale, text is UTF-8."""\n    x = "How"\n    print("What")'
    assert not list(plain_words.find_openings(ast.parse(source)))


def test_bounds_are_found_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "bounds.py"
    path.write_text("_MOST_ITEMS = 1  # MOST_\nALMOST_ALL = 'LEAST_'\nx = LEAST_ITEMS\n", encoding="utf-8")
    assert [line for line, _ in plain_words.find_bounds(path)] == [1, 3]


@pytest.mark.parametrize("call", ['_log.info("now ready")', 'log.error("died" if x else "Came back", code=1)'])
def test_a_log_event_that_is_a_sentence_is_found(call: str) -> None:
    assert len(list(plain_words.find_log_events(ast.parse(call)))) == 1


@pytest.mark.parametrize(
    "call", ['_log.info("ready", text="It is ready")', 'parser.error("no file")', "_log.info(event)"]
)
def test_other_calls_pass(call: str) -> None:
    assert not list(plain_words.find_log_events(ast.parse(call)))


def test_old_names_are_read_from_the_changelog_and_found(tmp_path: Path) -> None:
    names = plain_words.read_old_names(CHANGELOG)
    assert names == ["portrait untie", "towers"]
    path = tmp_path / "page.py"
    path.write_text("# two towers\n# run portrait untie\ndef towers(): ...\n", encoding="utf-8")
    found = plain_words.find_old_names(path, ast.parse(path.read_bytes()), names)
    assert [line for line, _ in found] == [2, 3]
