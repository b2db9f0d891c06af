"""The command `portrait rules check`: read the shop's rules and see what they are about."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import ReleaseError
from portrait.server.catalogue.catalogue import Catalogues
from portrait.server.errors import NotFound
from portrait.server.recommendation.rule_plan import ItemSet
from portrait.server.release.release import Release
from portrait.server.rules.file import Rule, RulesError, read_rules

rules = typer.Typer(no_args_is_help=True, help="Check the shop's rules for recommendations.")


@rules.callback()
def _rules() -> None:
    """Make `check` a command of its own, although it is the only one."""


@rules.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The rules, as `portrait serve --rules` reads them.")],
    repository: Annotated[
        Path, typer.Option(envvar="PORTRAIT_REPOSITORY", help="Folder of models and releases.")
    ] = Path("model_repository"),
) -> None:
    """Print each rule with the number of items of the newest release that it is about, and whether it is in force."""
    try:
        found = read_rules(file)
        numbers = list_releases(repository)
        if not numbers:
            raise ReleaseError(f"{repository} holds no release: run `portrait export`")
        catalogues = Catalogues(Release.load(repository, numbers[-1]))
    except (OSError, ReleaseError, RulesError) as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2) from error
    now = datetime.now(UTC)
    for rule in found:
        force = "in force" if rule.is_valid_at(now) else "not in force"
        typer.echo(f"{rule.name:<24} {rule.action:<14} {_count(catalogues, rule):>9,} items  {force}")
    typer.echo(f"{len(found)} rules, items of release {numbers[-1]}")


def _count(catalogues: Catalogues, rule: Rule) -> int:
    """Count the items that a rule is about; none where the release does not have the catalogue."""
    try:
        catalogue = catalogues[rule.when.catalogue].now
    except NotFound:
        return 0
    items = ItemSet.find(catalogue, rule.items)
    return int(items.holds(catalogue, catalogue.rows_in(items.selection)).sum())
