"""The command `portrait export`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from portrait.export.precision import Precision


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run that has ended.")],
    repository: Annotated[Path, typer.Option(help="The Triton repository; made if missing.")] = Path(
        "model_repository"
    ),
    precision: Annotated[
        Precision,
        typer.Option(
            help="fp32; fp16 for GPUs; bf16 or int8 for the text encoder's weights: docs/operations/triton.md tells "
            "what they cost and gain."
        ),
    ] = Precision.FP32,
) -> None:
    """Make a release of a run: ONNX graphs, checked against the model in ONNX Runtime and Triton, and item index."""
    from portrait.export.errors import ExportError, RepositoryError
    from portrait.export.nearest import Retrieval
    from portrait.export.release import export_release
    from portrait.training.errors import TrainingError
    from portrait.training.files import read_json_object
    from portrait.training.run.run import load_run

    console, errors = Console(), Console(stderr=True)
    try:
        with errors.status("loading the run") as status:
            if repository.exists() and not repository.is_dir():
                raise RepositoryError(f"{repository} is a file; name a folder")
            trained = load_run(run)
            metrics = {path.stem: read_json_object(path) for path in sorted(run.glob("metrics-*.json"))}
            manifest, checks = export_release(trained, metrics, repository, precision, status.update)
    except (TrainingError, ExportError, OSError) as error:
        _print_error(errors, error)
        raise typer.Exit(2 if isinstance(error, TrainingError | RepositoryError | OSError) else 1) from None
    table = Table(
        "graph", "runtime", "worst difference", "bound", title=f"release {manifest.release}: parity with PyTorch"
    )
    for check in checks:
        table.add_row(check.graph, check.runtime, f"{check.difference:.1e}", f"{check.bound:.0e}")
    console.print(table)
    retrieval = Retrieval(**manifest.export["retrieval"])
    console.print(f"nearest of {manifest.data['items']} items: {retrieval}", highlight=False)
    console.print(f"release {manifest.release} is in {repository}")


def _print_error(errors: Console, error: Exception) -> None:
    """Print an error as one line, whatever it quotes."""
    message = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    errors.print(f"[red]error:[/red] {escape(' '.join(message.split()))}", highlight=False, soft_wrap=True)
