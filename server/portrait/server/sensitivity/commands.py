"""The command `portrait topics check`: read a file of sensitive topics, and see which items it finds, and by what."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import ReleaseError
from portrait.server.release.release import Release
from portrait.server.sensitivity.release_topics import ReleaseTopics
from portrait.server.sensitivity.topic_file import TopicsError, read_topic_policy

topics = typer.Typer(no_args_is_help=True, help="Check the list of sensitive topics.")


@topics.callback()
def _topics() -> None:
    """Make `check` a command of its own, although it is the only one."""


@topics.command()
def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The topics, as `portrait serve --sensitive` reads them. Default: the shipped ones.",
            show_default=False,
        ),
    ] = None,
    repository: Annotated[
        Path, typer.Option(envvar="PORTRAIT_REPOSITORY", help="Folder of models and releases.")
    ] = Path("model_repository"),
    examples: Annotated[
        int, typer.Option(min=0, help="Maximum number of categories, brands and titles of each topic that are printed.")
    ] = 10,
) -> None:
    """Print each topic with what finds items of the newest release: categories, brands and titles."""
    try:
        policy = read_topic_policy(file)
        numbers = list_releases(repository)
        if not numbers:
            raise ReleaseError(f"{repository} holds no release: run `portrait export`")
        release = Release.load(repository, numbers[-1])
    except (OSError, ReleaseError, TopicsError) as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2) from error
    judged = ReleaseTopics(policy, release)
    for name in policy.topics:
        for line in _describe_topic(judged, release, name, examples):
            typer.echo(line)
    found = np.count_nonzero(judged.of_items)
    typer.echo(f"{len(policy.topics)} topics, {found:,} of {len(release.items):,} items of release {release.number}")


def _describe_topic(judged: ReleaseTopics, release: Release, name: str, examples: int) -> Iterator[str]:
    policy = judged.policy
    bit = 1 << list(policy.topics).index(name)
    rows = np.flatnonzero(judged.of_items & np.uint64(bit)).tolist()
    age, allowed = policy.topics[name].min_age, ", ".join(policy.list_allowed(name))
    withheld = f"withheld below {age}" if age else "withheld"
    yield f"{name}: {len(rows):,} items, {withheld}{f'; allowed for {allowed}' if allowed else ''}"
    found: dict[str, Counter[str]] = {"category": Counter(), "brand": Counter(), "title": Counter()}
    for row in rows:
        item = release.items[row]
        if judged.judge_path(item.category_path) & bit:
            found["category"][" > ".join(item.category_path)] += 1
        elif judged.judge_text(item.brand or "") & bit:
            found["brand"][item.brand or ""] += 1
        else:
            found["title"][item.title] += 1
    for kind, counts in found.items():
        for text, count in counts.most_common(examples):
            yield f"  {kind:<9} {count:>7,}  {' '.join(text.split())}"
        if (more := len(counts) - examples) > 0:
            yield f"  {kind:<9}          and {more:,} more"
