"""Findings of a benchmark: the Markdown that it wrote beside its JSON file, as HTML.

Headings, paragraphs, lists and tables are read, and in their text code and emphasis. A link becomes its text, since
the page has no links to other pages. Everything else stays plain text.
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
    """A heading, a paragraph, an entry of a list or a table."""

    kind: str
    """`heading`, `text`, `entry` or `table`."""
    lines: list[list[Markup]]
    """Rows of a table, as cells; the first row names the columns. Other kinds have one row of one cell."""

    @property
    def text(self) -> Markup:
        """Text of a part that is not a table."""
        return self.lines[0][0]


@dataclass(frozen=True)
class Finding:
    """The Markdown of one benchmark."""

    title: Markup
    parts: list[Part]


def read_finding(file: Path) -> Finding:
    """Read a Markdown file. Its title is the heading in its first line, or else the name of the file."""
    text = file.read_text(encoding="utf-8")
    first, _, rest = text.partition("\n")
    title, body = (first.lstrip("# "), rest) if first.startswith("#") else (file.stem, text)
    return Finding(_render_inline(title), list(_split_parts(body)))


def _split_parts(text: str) -> Iterator[Part]:
    for blank, block in groupby(_IMAGE.sub("", text).splitlines(), key=lambda line: not line.strip()):
        if not blank:
            for kind, lines in groupby(block, key=_detect_kind):
                yield from _make_parts(kind, [line.strip() for line in lines])


def _detect_kind(line: str) -> str:
    begins = {"#": "heading", "|": "table", "-": "entry"}
    return begins.get(line[0], "text")


def _make_parts(kind: str, lines: list[str]) -> Iterator[Part]:
    if kind == "table":
        yield Part(kind, [_split_cells(line) for line in lines if not _RULE.fullmatch(line)])
    elif kind == "text":
        yield Part(kind, [[_render_inline(" ".join(lines))]])
    else:
        for line in lines:
            yield Part(kind, [[_render_inline(line.lstrip("#- "))]])


def _split_cells(line: str) -> list[Markup]:
    return [_render_inline(cell.strip().replace(r"\|", "|")) for cell in _CELL.split(line)[1:-1]]


def _render_inline(text: str) -> Markup:
    html = str(escape(text))
    for pattern, replacement in _INLINE:
        html = pattern.sub(replacement, html)
    return Markup(html)  # noqa: S704 - escaped above; the marks put in are our own
