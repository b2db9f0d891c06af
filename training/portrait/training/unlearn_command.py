"""The command `portrait unlearn`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from portrait.training.commands import DeviceOption, reported_errors


def unlearn(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run, whose data set is still there.")],
    data: Annotated[
        Path, typer.Argument(help="Folder that `portrait prepare --deletions` wrote: the log without the forgotten.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the next run; new.")],
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was unlearnt as JSON.")] = False,
) -> None:
    """Train the next run without forgotten shoppers, from the weights of the run before."""
    from portrait.training import distributed
    from portrait.training.devices import choose_device
    from portrait.training.run.unlearning import unlearn_run

    with reported_errors():
        distributed.require_single_process("portrait unlearn")
        record = unlearn_run(run, data, output, choose_device(device))
    if as_json:
        typer.echo(json.dumps(record))
    else:
        Console().print(_format_record(record, output), markup=False, highlight=False, soft_wrap=True)


def _format_record(record: dict[str, Any], output: Path) -> str:
    share = record["time_share"]
    return (
        f"unlearnt: {output}, without {record['events']:,} events of {record['shoppers']:,} shoppers; "
        f"{record['steps']:,} of {record['steps_of_training']:,} steps"
        + ("" if share is None else f", {share:.0%} of the processor time of the training")
    )
