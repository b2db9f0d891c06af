"""Quotes values and names for SQL."""

from pathlib import Path

from portrait.features.files.path_names import utf8_path
from portrait.training.errors import TrainingError


def literal(value: object) -> str:
    """A value, or the name of a file, as an SQL string literal.

    Raises:
        TrainingError: the name is not UTF-8.
    """
    try:
        text = utf8_path(value) if isinstance(value, Path) else str(value)
    except OSError as error:
        raise TrainingError(str(error)) from None
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
