"""Errors that a benchmark reports to the person who runs it."""


class BenchmarkError(Exception):
    """A path, an option or the data does not allow the benchmark; the message says what to change."""
