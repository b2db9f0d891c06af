"""The command `portrait report`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from portrait.features.release import layout as release_layout


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run that has ended.")],
    out: Annotated[Path | None, typer.Option(help="The page.  [default: RUN/report.html]")] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Results of benchmarks to set beside: a JSON file, or a folder of them.")
    ] = None,
) -> None:
    """Write a page on the quality of a run: ranking, calibration, slices, examples, limits."""
    from portrait.reporting import page
    from portrait.reporting.figures import gather_figures
    from portrait.training.errors import TrainingError
    from portrait.training.files import require_writable_file
    from portrait.training.run.run import load_run

    errors = Console(stderr=True)
    path = out or run / release_layout.REPORT
    try:
        if out:
            require_writable_file(out)
        with errors.status("loading the run") as status:
            trained = load_run(run)
            require_writable_file(path)
            status.update("ranking the test and measuring")
            figures = gather_figures(trained, results or [])
        page.write_page(figures, path)
    except (TrainingError, OSError) as error:
        message = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        errors.print(f"[red]error:[/red] {escape(' '.join(message.split()))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    typer.echo(f"report: {path}")
