"""The command `portrait label-traits`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from portrait.training.commands import CompleteUntilOption, TraitsFile, reported_errors


def label_traits(
    data: Annotated[Path, typer.Argument(help="Folder that `portrait prepare` wrote of the log up to now.")],
    file: TraitsFile,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="CSV file to write: trait, shopper_id, as_of, value.")],
    complete_until: CompleteUntilOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers of outcomes as JSON.")] = False,
) -> None:
    """Write what came true of declared traits at the end of a log, for `portrait check-traits`."""
    from portrait.training.traits.outcomes import write_outcomes

    errors = Console(stderr=True)
    with reported_errors(), errors.status("reading the log") as status:
        counts = write_outcomes(data, file, output, complete_until, lambda name: status.update(f"labelling {name}"))
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(each) for each in counts], default=str))
        return
    table = Table("trait", "from", "shoppers", "came true", title=f"outcomes: {output}")
    for each in counts:
        table.add_row(each.trait, f"{each.as_of:%Y-%m-%d}", f"{each.shoppers:,}", f"{each.positives:,}")
    Console().print(table)
