"""The commands `portrait item get` and `portrait item delete`."""

from typing import TYPE_CHECKING, Annotated

import typer

from portrait.client.connection import calling
from portrait.client.shared_options import AsJson, Catalogue

if TYPE_CHECKING:
    from portrait.client.sync import Client

item = typer.Typer(no_args_is_help=True, help="Get or delete items of a catalogue.")


@item.command()
@calling()
def get(
    client: "Client",
    item_id: Annotated[str, typer.Argument(help="Id of the item.")],
    catalogue: Catalogue = "",
    as_json: AsJson = False,
) -> None:
    """Print an item of a catalogue."""
    from rich.console import Console

    from portrait.client import outputs, tables

    found = client.get_item(item_id, catalogue=catalogue)
    if as_json:
        outputs.print_json(found)
    else:
        tables.print_item(Console(), found)


@item.command()
@calling()
def delete(
    client: "Client",
    item_ids: Annotated[list[str], typer.Argument(help="Ids of the items.")],
    catalogue: Catalogue = "",
    as_json: AsJson = False,
) -> None:
    """Delete items from a catalogue, and print how many existed."""
    from portrait.client import outputs

    deleted = client.delete_items(item_ids, catalogue=catalogue)
    if as_json:
        outputs.print_json({"deleted": deleted})
    else:
        typer.echo(f"{deleted:,} deleted")
