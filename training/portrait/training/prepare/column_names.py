"""Names of columns and keys: two that differ in upper and lower case only are one name to the engine."""

from collections.abc import Collection, Iterable, Sequence


def find_repeated(names: Iterable[str]) -> str | None:
    """The first name that stands there before, in whatever case; None if none does."""
    known: set[str] = set()
    for name in names:
        if name.casefold() in known:
            return name
        known.add(name.casefold())
    return None


def find_repeated_field(fields: Sequence[tuple[str, int]]) -> tuple[str, str] | None:
    """The first field of a Parquet file that its parent has before, in whatever case, and the column that it is in.

    Args:
        fields: name and number of children of each, parents first; the first is the root.
    """
    column = ""
    open_parents: list[tuple[int, list[str]]] = []
    for name, children in fields:
        if open_parents:
            left, names = open_parents.pop()
            if find_repeated([*names, name]):
                return name, column if len(open_parents) else name
            open_parents.append((left - 1, [*names, name]))
            column = name if len(open_parents) == 1 else column
        open_parents.append((children, []))
        while open_parents and not open_parents[-1][0]:
            open_parents.pop()
    return None


def choose_columns(columns: Iterable[str], only: Collection[str] | None, known: Collection[str]) -> dict[str, str]:
    """The columns to read: how the file writes each, by the name that it gets. `row` is not one of them.

    Args:
        columns: of the file.
        only: those that are wanted, in lower case; all if None.
        known: those whose case does not matter, in lower case.
    """
    named = {column.casefold() if column.casefold() in known else column: column for column in columns}
    return {
        name: column for name, column in named.items() if name.casefold() != "row" and (only is None or name in only)
    }
