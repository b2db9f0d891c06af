r"""Output of the commands: rows as a table on a terminal and as tab-separated lines in a pipe, lines, and JSON.

Texts of shoppers and shops are printed without markup. Ids are never wrapped or cut off. Characters that could move the
cursor, end a line or change its direction are printed as escapes, for example `\n`.
"""

import dataclasses
import json
from array import array
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_NAMED = {ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r"}
_HIDDEN = [*range(32), *range(127, 160), 0x061C, *range(0x200E, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
"""Control characters, line ends and direction marks."""
_ESCAPES = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _HIDDEN} | _NAMED
_MAX_WIDTH = 1_000_000


class TableConsole(Console):
    """A console that prints rows as tables everywhere, also into a pipe or a file."""


class Rows:
    """Rows of cells under named columns.

    Args:
        title: title of the rows; may be empty.
        columns: names of the columns.
        ids: names of the columns that hold ids.
    """

    def __init__(self, title: str, *columns: str, ids: Collection[str] = ()) -> None:
        self._title, self._columns, self._ids = title, columns, ids
        self._rows: list[tuple[str, ...]] = []

    def add(self, *cells: str) -> None:
        """Add a row."""
        self._rows.append(cells)

    def print(self, console: Console) -> None:
        """Print a table; in a pipe, print title, column names and rows as tab-separated lines."""
        if not is_piped(console):
            self._print_table(console)
            return
        if self._title:
            print_line(console, self._title)
        for cells in (self._columns, *self._rows):
            console.file.write("\t".join(escape(cell.replace("\\", "\\\\")) for cell in cells) + "\n")
        console.file.flush()  # detect a reader that is gone here, not when the interpreter ends

    def _print_table(self, console: Console) -> None:
        table = Table(title=Text(escape(self._title)), title_justify="left")
        for place, column in enumerate(self._columns):
            if column in self._ids:
                longest = max((cell_len(escape(cells[place])) for cells in self._rows), default=0)
                table.add_column(column, no_wrap=True, min_width=longest)
            else:
                table.add_column(column, overflow="fold")
        for cells in self._rows:
            table.add_row(*(Text(escape(cell)) for cell in cells))
        # An id may need more than the width of the terminal: the terminal wraps it, and a copy of it is complete.
        min_width = Measurement.get(console, console.options.update(max_width=_MAX_WIDTH), table).minimum
        if min_width > console.width:
            table.width = min_width
        console.print(table, crop=False, no_wrap=True, overflow="ignore")


def is_piped(console: Console) -> bool:
    """Tell whether a program reads the output. Rich treats any output as a terminal if FORCE_COLOR is set."""
    return not isinstance(console, TableConsole) and not console.file.isatty()


def print_line(console: Console, content: str, style: str = "") -> None:
    """Print one line of any length; the terminal wraps it."""
    console.print(Text(escape(content), style), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a dataclass or a dict as one line of JSON."""
    typer.echo(to_json(value))


def to_json(value: Any) -> str:
    """Convert a dataclass or a dict to JSON: times as ISO 8601, durations in seconds, vectors as lists."""

    def plain(each: "datetime | timedelta | array[float]") -> str | float | list[float]:
        if isinstance(each, timedelta):
            return each.total_seconds()
        return each.isoformat() if isinstance(each, datetime) else each.tolist()

    given = value if isinstance(value, dict) else dataclasses.asdict(value)
    return json.dumps(given, default=plain, ensure_ascii=False)


def escape(content: str) -> str:
    """Replace characters that would break a line by escapes."""
    return content.translate(_ESCAPES)
