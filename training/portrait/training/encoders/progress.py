"""The progress bar of a stage of training; only the main process shows it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from portrait.training import distributed


@contextmanager
def show_progress(stage: str, total: int, completed: int) -> Iterator[Callable[[int], None]]:
    """Show how many of the steps of a stage are done; yield a function that gets the number of completed ones."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not distributed.is_main()) as progress:
        task = progress.add_task(stage, total=total, completed=completed)
        yield lambda done: progress.update(task, completed=done)
