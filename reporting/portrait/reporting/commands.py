"""The commands `portrait report` and `portrait audit-fairness`.

Heavy imports stand inside the functions, so that `portrait --help` answers at once.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from portrait.features.release import layout as release_layout
from portrait.training.enums import Demographic

if TYPE_CHECKING:
    from portrait.reporting.fairness.audit import FairnessAudit
    from portrait.reporting.fairness.tables import Cell


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Report errors that the caller can fix in one line, with exit code 2."""
    from portrait.training.errors import TrainingError

    try:
        yield
    except (TrainingError, OSError) as error:
        message = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        Console(stderr=True).print(
            f"[red]error:[/red] {escape(' '.join(message.split()))}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(2) from None


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
    from portrait.training.files import require_writable_file
    from portrait.training.run.run import load_run

    path = out or run / release_layout.REPORT
    with _reported_errors():
        if out:
            require_writable_file(out)
        with Console(stderr=True).status("loading the run") as status:
            trained = load_run(run)
            require_writable_file(path)
            status.update("ranking the test and measuring")
            figures = gather_figures(trained, results or [])
        page.write_page(figures, path)
    typer.echo(f"report: {path}")


def audit_fairness(
    run: Annotated[Path, typer.Argument(help="Folder of a run that has ended.")],
    by: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="Declared attributes that make the groups: gender, age_band, region; by commas."
        ),
    ] = ",".join(Demographic),
    as_json: Annotated[bool, typer.Option("--json", help="Print the audit as JSON.")] = False,
) -> None:
    """Compare groups of test shoppers: ranking, exposure, calibration and traits, by what they declared."""
    from portrait.reporting.fairness import audit as audits
    from portrait.training.errors import TrainingError
    from portrait.training.files import require_writable_folder
    from portrait.training.run.evaluation import rank_test_targets
    from portrait.training.run.run import load_run
    from portrait.training.settings import parse_demographics

    with _reported_errors():
        attributes = parse_demographics(by)
        with Console(stderr=True).status("loading the run") as status:
            trained = load_run(run)
            require_writable_folder(run)
            status.update("ranking the test and comparing the groups")
            audit = audits.audit_fairness(trained, rank_test_targets(trained), attributes)
        if not audit.attributes:
            raise TrainingError(
                f"the data set of {run} has no declared {' or '.join(attributes)} by which two groups could be "
                f"compared: a group needs {audit.minimum_group} of the {audit.shoppers} test shoppers"
            )
        audits.write_audit(audit, run)
    if as_json:
        typer.echo(json.dumps(audits.to_json(audit), ensure_ascii=False))
    else:
        _print_audit(audit)


def _print_audit(audit: "FairnessAudit") -> None:
    from portrait.reporting.fairness.tables import make_tables

    console = Console()
    for group_table in make_tables(audit):
        table = Table(*map(escape, group_table.header), title=escape(group_table.title), show_lines=True)
        for row in group_table.rows:
            table.add_row(*map(_format_cell, row))
        console.print(table)
    console.print(
        f"In brackets: 95% intervals of the difference from all other test shoppers; * excludes 0: "
        f"{sum(gap.is_clear for gap in audit.gaps)} of {len(audit.gaps)} do, and by chance one in twenty would. Groups "
        f"of fewer than {audit.minimum_group} test shoppers are left out.",
        highlight=False,
    )
    if audit.unmeasured_traits:
        names = ", ".join(audit.unmeasured_traits)
        console.print(f"Traits without errors by group ({names}): run `portrait train-traits` again.", markup=False)


def _format_cell(cell: "Cell") -> str:
    mark = "*" if cell.is_clear else ""
    return escape("\n".join(filter(None, (cell.text, cell.detail + mark))))
