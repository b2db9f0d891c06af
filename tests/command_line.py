"""The `portrait` command in this process: the same `main`, and what it would leave behind in a shell."""

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from portrait.client import cli


@dataclass(frozen=True)
class Ended:
    """A command that has ended by itself; one that raises anything else raises it in the test."""

    code: int
    stdout: str
    stderr: str


def portrait(*arguments: object) -> Ended:
    """Run a command line."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["portrait", *map(str, arguments)]),
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
    written = []
    for stream in streams:
        stream.flush()
        written.append(stream.buffer.getvalue().decode("utf-8"))  # type: ignore[attr-defined]
    return Ended(code if isinstance(code, int) else int(bool(code)), *written)
