"""Errors of training that the caller can fix."""


class TrainingError(Exception):
    """The data, the run or an option does not allow what was asked; the message says what to change."""


class DataError(TrainingError):
    """A log is malformed.

    Args:
        file: the file at fault.
        row: its line, the first being 1; None if the file as a whole is at fault.
        column: the column at fault, None if no single one is.
        message: what is wrong with it.
    """

    def __init__(self, file: str, row: int | None, column: str | None, message: str) -> None:
        self.file, self.row, self.column, self.message = file, row, column, message
        place = [file, *([f"row {row}"] if row else []), *([f"column {column!r}"] if column else [])]
        super().__init__(f"{', '.join(place)}: {message}")

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, int | None, str | None, str]]:
        """Travel between processes."""
        return type(self), (self.file, self.row, self.column, self.message)


class DeclarationError(TrainingError):
    """A traits file declares something that can't be learnt from.

    Args:
        file: the traits file.
        trait: name of the trait at fault, None if none is.
        field: the field at fault, None if no single one is.
        message: what is wrong with it.
    """

    def __init__(self, file: str, trait: str | None, field: str | None, message: str) -> None:
        self.file, self.trait, self.field, self.message = file, trait, field, message
        place = [file, *([f"trait {trait}"] if trait else []), *([f"field {field!r}"] if field else [])]
        super().__init__(f"{', '.join(place)}: {message}")

    def __reduce__(self) -> tuple[type["DeclarationError"], tuple[str, str | None, str | None, str]]:
        """Travel between processes."""
        return type(self), (self.file, self.trait, self.field, self.message)


def to_one_line(error: BaseException) -> str:
    """Return the first line of an error's message; the name of its class if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
