"""The command `portrait rules check`: read the shop's rules, see what they are about and what they would change."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import ReleaseError
from portrait.server.catalogue.catalogue import Catalogues
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.commands import ENGINE_SETTINGS, in_environment, with_settings
from portrait.server.errors import NotFound
from portrait.server.recommendation.rule_plan import ItemSet
from portrait.server.release.release import Release
from portrait.server.rules.file import Diversify, Rule, RulesError, read_rules
from portrait.server.runtime.exits import exit_at_once
from portrait.server.settings import Settings

rules = typer.Typer(no_args_is_help=True, help="Check the shop's rules for recommendations.")


@rules.callback()
def _rules() -> None:
    """Make `check` a command of its own, although it is the only one."""


@rules.command()
@with_settings((*ENGINE_SETTINGS, "consent_personalisation", "consent_demographics", "rules"))
def check(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The rules, as `portrait serve --rules` reads them.")],
    *,
    requests: Annotated[
        Path | None,
        typer.Option(
            metavar="CALLS",
            help="File of calls, as `portrait loadtest --dry-run` writes it: the first 100 to which rules apply are "
            "answered by the serving release, once by the rules in force (--rules) and once by FILE.",
        ),
    ] = None,
) -> None:
    """Print each rule with the number of items of the newest release that it is about, and whether it is in force.

    With --requests, print what FILE changes on recorded requests instead. Settings are read as by `portrait serve`.
    Nothing is recorded, and no gateway is asked.
    """
    try:
        found = read_rules(file)
    except RulesError as error:
        _fail(error)
    if requests is None:
        _print_counts(found, settings.repository)
        return
    in_environment()
    from portrait.server.app import run_rules_preview
    from portrait.server.rule_preview.calls import CallsError, read_calls

    try:
        in_force = read_rules(settings.rules) if settings.rules else ()
        recorded = read_calls(requests)
    except (CallsError, RulesError) as error:
        _fail(error)
    exit_at_once(run_rules_preview(settings, recorded, in_force, found))


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)
    raise typer.Exit(2) from error


def _print_counts(found: tuple[Rule, ...], repository: Path) -> None:
    try:
        numbers = list_releases(repository)
        if not numbers:
            raise ReleaseError(f"{repository} holds no release: run `portrait export`")
        catalogues = Catalogues(Release.load(repository, numbers[-1]))
    except (OSError, ReleaseError) as error:
        _fail(error)
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
    items = _find_items(catalogue, rule)
    return int(items.holds(catalogue, catalogue.rows_in(items.selection)).sum())


def _find_items(catalogue: Snapshot, rule: Rule) -> ItemSet:
    """Find the items that a rule is about: all of them where it names none."""
    if isinstance(rule, Diversify):
        return ItemSet(catalogue.select(Filter(), catalogue.rows_of([])), None)
    return ItemSet.find(catalogue, rule.items)
