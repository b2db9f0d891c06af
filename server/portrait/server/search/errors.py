"""Errors of the engine that holds the vectors of releases."""

_SHOWN_CHARACTERS = 300


class IndexStorageError(Exception):
    """The engine can't be used: it does not answer, refuses something, or a package for it is missing."""


def describe_error(error: Exception) -> str:
    """Describe an error of the engine's client in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_SHOWN_CHARACTERS]
