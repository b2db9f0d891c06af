r"""Output of the commands: rows as a table for a terminal and as tab-separated lines for a pipe, lines, and JSON.

What shoppers and shops wrote is shown as it stands: no markup. Ids are never broken over lines or cut off. Characters
that could move the cursor, end a line or turn its direction are written as escapes, as `\n`.
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
"""Controls, ends of lines, and marks of direction."""
_ESCAPES = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _HIDDEN} | _NAMED
_MAX_WIDTH = 1_000_000


class TableConsole(Console):
    """A console whose output people read, also where a pipe or a file takes it: rows are tables everywhere."""


class Rows:
    """Rows of cells under named columns.

    Args:
        title: what they are; may be empty.
        columns: their names.
        ids: names of the columns that hold ids.
    """

    def __init__(self, title: str, *columns: str, ids: Collection[str] = ()) -> None:
        self._title, self._columns, self._ids = title, columns, ids
        self._rows: list[tuple[str, ...]] = []

    def add(self, *cells: str) -> None:
        """Add a row."""
        self._rows.append(cells)

    def print(self, console: Console) -> None:
        """Print a table, or, where no terminal reads it, title, names and rows as lines with tabs between the cells."""
        if not is_piped(console):
            self._print_table(console)
            return
        if self._title:
            print_line(console, self._title)
        for cells in (self._columns, *self._rows):
            console.file.write("\t".join(escape(cell.replace("\\", "\\\\")) for cell in cells) + "\n")
        console.file.flush()  # a reader that is gone is noticed here, and not when the interpreter ends

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
        # Wider than the terminal where an id asks for it: the terminal goes on in its next line, and a copy is whole.
        least = Measurement.get(console, console.options.update(max_width=_MAX_WIDTH), table).minimum
        if least > console.width:
            table.width = least
        console.print(table, crop=False, no_wrap=True, overflow="ignore")


def is_piped(console: Console) -> bool:
    """Tell whether a program reads the output. Rich itself takes any for a terminal where FORCE_COLOR is set."""
    return not isinstance(console, TableConsole) and not console.file.isatty()


def print_line(console: Console, content: str, style: str = "") -> None:
    """Print one line, however long; the terminal breaks it."""
    console.print(Text(escape(content), style), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a dataclass or a dict as one line of JSON."""
    typer.echo(to_json(value))


def to_json(value: Any) -> str:
    """Write a dataclass or a dict as JSON: moments by ISO 8601, spans in seconds, vectors as lists."""

    def plain(each: "datetime | timedelta | array[float]") -> str | float | list[float]:
        if isinstance(each, timedelta):
            return each.total_seconds()
        return each.isoformat() if isinstance(each, datetime) else each.tolist()

    given = value if isinstance(value, dict) else dataclasses.asdict(value)
    return json.dumps(given, default=plain, ensure_ascii=False)


def escape(content: str) -> str:
    """Write characters that a line can't hold as escapes."""
    return content.translate(_ESCAPES)
