"""The `portrait` command in this process: the same `main`, and what it would leave behind in a shell."""

import contextlib
import os
import sys
import tempfile
from dataclasses import dataclass
from unittest import mock

from portrait.client import cli

with contextlib.suppress(ImportError):
    # It configures logging when it is imported, which closes the streams of handlers (absl's) that are not those of
    # the process: not while a command has redirected these, as pytest's would be closed.
    import pymilvus as pymilvus


@dataclass(frozen=True)
class CommandResult:
    """A command that has ended by itself; one that raises anything else raises it in the test."""

    code: int
    stdout: str
    stderr: str


def run_portrait(*arguments: object) -> CommandResult:
    """Run a command line."""
    code: object = 0
    with (
        # Files, as some libraries ask for the number of a stream.
        tempfile.TemporaryFile("w+", encoding="utf-8") as stdout,
        tempfile.TemporaryFile("w+", encoding="utf-8") as stderr,
        mock.patch.object(os, "_exit", sys.exit),  # a gateway's process ends so; this one goes on
        mock.patch.object(sys, "argv", ["portrait", *map(str, arguments)]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
        written = []
        for stream in (stdout, stderr):
            stream.seek(0)
            written.append(stream.read())
    return CommandResult(code if isinstance(code, int) else int(bool(code)), *written)
