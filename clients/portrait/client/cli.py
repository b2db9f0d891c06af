"""The `portrait` command. Each installed part adds its own commands by the entry-point group `portrait.commands`."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points, version

GROUP = "portrait.commands"
_EXTRAS = {
    "portrait.server": "server",
    "portrait.training": "train",
    "portrait.export": "train,triton",
    "portrait.client": "cli",
}


def main() -> None:
    """Run the command line."""
    try:
        import typer
    except ModuleNotFoundError:
        sys.exit("portrait: the command needs typer and rich: pip install 'portrait[cli]'")

    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Understand shoppers and serve that understanding: prepare, train, evaluate, export, serve; then call.",
    )

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"portrait {version('portrait')}")
            raise typer.Exit

    @app.callback()
    def options(
        _version: bool = typer.Option(
            False, "--version", callback=show_version, is_eager=True, help="Print the version."
        ),
    ) -> None: ...

    for entry in entry_points(group=GROUP):
        app.command(entry.name)(_load(entry))
    try:
        app()
    except ModuleNotFoundError as error:
        sys.exit(_missing(error))


def _load(entry: EntryPoint) -> Callable[..., None]:
    """A command; one whose part is not installed says what to install when it is called."""
    try:
        command: Callable[..., None] = entry.load()
    except ModuleNotFoundError as error:
        part = ".".join(entry.module.split(".")[:2])
        message = f"portrait {entry.name} needs {error.name}: pip install 'portrait[{_EXTRAS.get(part, 'cli')}]'"

        def unavailable() -> None:
            sys.stderr.write(message + "\n")
            sys.exit(2)

        unavailable.__doc__ = f"Not installed: pip install 'portrait[{_EXTRAS.get(part, 'cli')}]'."
        return unavailable
    return command


def _missing(error: ModuleNotFoundError) -> str:
    """What to install for a module that a command found missing while it ran."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    found = next((entry for entry in entry_points(group=GROUP) if entry.name == command), None)
    extra = _EXTRAS.get(".".join(found.module.split(".")[:2]), "cli") if found else "cli"
    return f"portrait {command} needs {error.name}: pip install 'portrait[{extra}]'"
