"""What can go wrong in training for a reason that its caller can mend."""


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
        self.file, self.row, self.column = file, row, column
        place = [file, *([f"row {row}"] if row else []), *([f"column {column!r}"] if column else [])]
        super().__init__(f"{', '.join(place)}: {message}")
