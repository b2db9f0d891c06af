"""The command `portrait`. Each installed part adds its commands by the entry-point group `portrait.commands`."""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from typing import Any, NoReturn

from portrait.client.command_list import GROUPS, OTHER_COMMANDS

GROUP = "portrait.commands"
_DISTRIBUTION = "shopper-portrait"
"""The package `portrait` on PyPI is not this one; Portrait is on no public index."""
_EXTRAS = {
    "portrait.client": "cli",
    "portrait.server": "server",
    "portrait.training": "train",
    "portrait.export": "train,triton",
    "portrait.reporting": "train",
}
_MARKERS = {
    "portrait.client": "rich",
    "portrait.server": "pydantic_settings",
    "portrait.training": "torch",
    "portrait.export": "torch",
    "portrait.reporting": "torch",
}
"""For each part, a module that exists only if the part's extra is installed."""
_ANY_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def main() -> None:
    """Run the command line."""
    # PyTorch's threads (GNU OpenMP) wait for each other in busy loops of 300,000 turns, by which training takes many
    # times as long beside other work. With these few turns it takes hardly longer than before on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    _open_streams()
    _encode_streams()
    try:
        import typer
    except ModuleNotFoundError as error:
        _end(f"portrait needs {error.name}: {_explain_install('cli')}")

    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Profiles and recommendations from shopper events: prepare, train, evaluate, export, serve, query.",
    )

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"portrait {version(_DISTRIBUTION)}")
            raise typer.Exit

    @app.callback()
    def options(
        _version: bool = typer.Option(
            False, "--version", callback=show_version, is_eager=True, help="Print the version."
        ),
    ) -> None: ...

    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    called = next((argument for argument in sys.argv[1:] if argument != "--"), "")
    if called in entries:  # import this part only
        _add(app, entries[called])
    elif "_PORTRAIT_COMPLETE" in os.environ:  # the shell completes the options of a command
        for entry in entries.values():
            _add(app, entry)
    else:
        _list(app, entries)
    _run(app)


def _add(app: Any, entry: EntryPoint) -> None:
    """Add a command; if a module that it imports is missing, add one that says what to install."""
    from typer import Typer

    try:
        loaded = entry.load()
        if isinstance(loaded, Typer):
            app.add_typer(loaded, name=entry.name)
        else:
            app.command(entry.name)(_guard(entry, loaded))
    except ModuleNotFoundError as error:
        app.command(entry.name, context_settings=_ANY_ARGUMENTS)(_make_placeholder(entry, error))


def _list(app: Any, entries: dict[str, EntryPoint]) -> None:
    """Add placeholders for all commands, in the groups of `portrait --help`."""
    grouped = {name: group for group, names in GROUPS.items() for name in names}
    for name in [*(name for name in grouped if name in entries), *sorted(entries.keys() - grouped.keys())]:
        entry, group = entries[name], grouped.get(name, OTHER_COMMANDS)
        marker = _MARKERS.get(_part(entry), "")
        if marker and find_spec(marker) is None:
            listed = _make_placeholder(entry, ModuleNotFoundError(name=marker))
            app.command(name, rich_help_panel=group)(listed)
        else:
            app.command(name, rich_help_panel=group, help=GROUPS.get(group, {}).get(name))(lambda: None)


def _part(entry: EntryPoint) -> str:
    """Return the part of Portrait that a command belongs to."""
    return ".".join(entry.module.split(".")[:2])


def _run(app: Callable[[], None]) -> None:
    """Run a command; an OSError that it does not handle, such as a full disk, ends it with a message."""
    try:
        app()
    except OSError as error:
        with contextlib.suppress(OSError):
            # The interpreter flushes the rest of the output when it ends, and would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _end(f"portrait: {error}", 1)


def _open_streams() -> None:
    """Open closed standard streams, as after `2>&-`: otherwise an opened file gets their number, and the log."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)  # for child processes
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def _encode_streams() -> None:
    """Write UTF-8 to files and pipes, whatever the locale; to a terminal, escape characters that it can't show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _guard(entry: EntryPoint, command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command: if an import inside it fails, say what to install."""

    @functools.wraps(command)
    def guarded(**given: Any) -> None:
        try:
            command(**given)
        except ModuleNotFoundError as error:
            _end(_explain_missing(entry, error))

    return guarded


def _make_placeholder(entry: EntryPoint, error: ModuleNotFoundError) -> Callable[[], None]:
    """Make a placeholder for a command whose part is not installed."""
    message = _explain_missing(entry, error)

    def refuse() -> None:
        _end(message)

    refuse.__doc__ = f"Not installed: {message.partition(': ')[2]}".replace("[", "\\[")  # no markup
    return refuse


def _explain_missing(entry: EntryPoint, error: ModuleNotFoundError) -> str:
    """Say what to install for a command that lacks a module.

    Raises:
        ModuleNotFoundError: the module belongs to Portrait, so that no extra brings it.
    """
    if error.name is None or error.name.startswith("portrait."):
        raise error
    return f"portrait {entry.name} needs {error.name}: {_explain_install(_EXTRAS[_part(entry)])}"


def _explain_install(extra: str) -> str:
    """Say how to install an extra, as `portrait.features.installation` does, which a client-only install lacks."""
    return (
        f"pip install '.[{extra}]' in a checkout of Portrait, or "
        f"pip install --index-url YOUR_INDEX '{_DISTRIBUTION}[{extra}]'"
    )


def _end(message: str, code: int = 2) -> NoReturn:
    sys.stderr.write(message + "\n")
    sys.exit(code)
