"""Findings of a benchmark, in its own words and tables: the Markdown that it wrote beside its figures.

Read are headings, paragraphs, lists and tables, and in their text code, emphasis and links; of a link the text stays,
as the page leads nowhere. All else is text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup, escape

_IMAGE = re.compile(r"!\[[^]]*\]\([^)]*\)")
_INLINE = (
    (re.compile(r"\[([^]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"`([^`]*)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*([^*]+)\*"), r"<em>\1</em>"),
)
_CELL = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[|:\- ]+")


@dataclass(frozen=True)
class Part:
    """A heading, a paragraph, a list's entry or a table."""

    kind: str
    """`heading`, `text`, `entry` or `table`."""
    lines: list[list[Markup]]
    """The cells of each row of a table, the first its columns; of all else, one line of one cell."""

    @property
    def text(self) -> Markup:
        """All that it says."""
        return self.lines[0][0]


@dataclass(frozen=True)
class Finding:
    """All that one benchmark tells."""

    title: Markup
    parts: list[Part]


def read(file: Path) -> Finding:
    """Read a Markdown file; its title is the heading that it begins with, else its name."""
    text = file.read_text(encoding="utf-8")
    first, _, rest = text.partition("\n")
    title, told = (first.lstrip("# "), rest) if first.startswith("#") else (file.stem, text)
    return Finding(_inline(title), list(_parts(told)))


def _parts(text: str) -> Iterator[Part]:
    for blank, block in groupby(_IMAGE.sub("", text).splitlines(), key=lambda line: not line.strip()):
        if not blank:
            for kind, lines in groupby(block, key=_kind):
                yield from _of(kind, [line.strip() for line in lines])


def _kind(line: str) -> str:
    begins = {"#": "heading", "|": "table", "-": "entry"}
    return begins.get(line[0], "text")


def _of(kind: str, lines: list[str]) -> Iterator[Part]:
    if kind == "table":
        yield Part(kind, [_cells(line) for line in lines if not _RULE.fullmatch(line)])
    elif kind == "text":
        yield Part(kind, [[_inline(" ".join(lines))]])
    else:
        for line in lines:
            yield Part(kind, [[_inline(line.lstrip("#- "))]])


def _cells(line: str) -> list[Markup]:
    return [_inline(cell.strip().replace(r"\|", "|")) for cell in _CELL.split(line)[1:-1]]


def _inline(text: str) -> Markup:
    told = str(escape(text))
    for written, shown in _INLINE:
        told = written.sub(shown, told)
    return Markup(told)  # noqa: S704 - escaped above; the marks put in are our own
