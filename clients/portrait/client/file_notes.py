"""Notes on a file whose rows are sent: what its reader did that a person should know."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import typer

from portrait.client import files

_Read = TypeVar("_Read", files.RecordedEvent, files.ListedItem)


class FileNotes:
    """What a person should know of a file's rows that were read: signs that were read, prices that were left out."""

    def __init__(self) -> None:
        self._signs, self._currencies = 0, Counter[str]()

    def read(self, rows: Iterable[_Read]) -> Iterator[_Read]:
        """Look at rows on their way."""
        for row in rows:
            self._signs += isinstance(row, files.RecordedEvent) and row.sign_read
            self._currencies.update(filter(None, [row.left_currency]))
            yield row

    @contextmanager
    def told(self, name: str) -> Iterator[None]:
        """Tell it at the end, also where a failure cuts the file short."""
        try:
            yield
        finally:
            if self._signs:
                typer.echo(f"{name}: {self._signs:,} refunds have a minus sign; their absolute values count", err=True)
            for currency, count in self._currencies.items():
                told = f"{count:,} prices in {currency} are left out: the file's prices are in another currency"
                typer.echo(f"warning: {name}: {told}", err=True)


def find_currency(file: str) -> str:
    """Find the currency of a file's prices. Standard input can be read once only: there, the first one counts."""
    if file == "-":
        return ""
    with Path(file).open("rb") as lines:
        return files.find_currency(lines, file)
