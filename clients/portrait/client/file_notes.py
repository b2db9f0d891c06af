"""Notes on a file whose rows are sent: changes to its values that a person should know."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import typer

from portrait.client import files
from portrait.features.logs.order_status import describe_called_off

_Read = TypeVar("_Read", files.RecordedEvent, files.ListedItem)


class FileNotes:
    """Counts minus signs that marked refunds, prices that were dropped, and purchases that were called off."""

    def __init__(self) -> None:
        self._signs, self._currencies, self._called_off = 0, Counter[str](), Counter[str]()

    def read(self, rows: Iterable[_Read]) -> Iterator[_Read]:
        """Count rows while they pass."""
        for row in rows:
            self._signs += isinstance(row, files.RecordedEvent) and row.has_minus_sign
            self._currencies.update(filter(None, [row.dropped_currency]))
            if isinstance(row, files.RecordedEvent):
                self._called_off.update(filter(None, [row.called_off_by]))
            yield row

    @contextmanager
    def printed(self, name: str) -> Iterator[None]:
        """Print the notes at the end, also if a failure stops the reading."""
        try:
            yield
        finally:
            if self._signs:
                typer.echo(f"{name}: {self._signs:,} refunds have a minus sign; their absolute values count", err=True)
            for currency, count in self._currencies.items():
                note = f"{count:,} prices in {currency} are left out: the file's prices are in another currency"
                typer.echo(f"warning: {name}: {note}", err=True)
            for column, count in self._called_off.items():
                typer.echo(f"warning: {name}: {describe_called_off(count, column)}", err=True)


def find_currency(file: str) -> str:
    """Find the currency of a file's prices; empty for standard input, which can be read only once."""
    if file == "-":
        return ""
    with Path(file).open("rb") as lines:
        return files.find_currency(lines, file)
