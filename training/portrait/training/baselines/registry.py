"""All baselines that Portrait is compared with, and their grids."""

from collections.abc import Iterator
from functools import partial

from portrait.training.baselines import linear, own_history, popularity, transitions
from portrait.training.baselines.contexts import Unit
from portrait.training.baselines.protocol import Task
from portrait.training.baselines.tuning import Baseline

POPULARITY = "popularity"
_HALF_LIVES: dict[Unit, tuple[float, ...]] = {
    Unit.DAYS: (15.0, 1.0, 3.0, 7.0, 30.0, 60.0, 120.0, 365.0, 1000.0),
    Unit.MOMENTS: (3.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0),
    Unit.EVENTS: (30.0, 1.0, 3.0, 10.0, 100.0, 300.0, 1000.0),
}


def _has_times(task: Task) -> bool:
    return task.item_events.has_times


def _ranks_seen(task: Task) -> bool:
    """Tell whether seen items are ranked; where they are left out, own history has nothing to say."""
    return not task.holdout.mask_seen


def _ranks_seen_with_times(task: Task) -> bool:
    return _ranks_seen(task) and _has_times(task)


def _list_baselines() -> Iterator[Baseline]:
    yield Baseline(POPULARITY, popularity.score_by_popularity)
    yield Baseline(
        "recent popularity",
        popularity.score_by_recent_popularity,
        grid={"half_life_days": (30.0, 1.0, 3.0, 7.0, 14.0, 90.0, 365.0)},
        suits=_has_times,
    )
    for unit, half_lives in _HALF_LIVES.items():
        yield Baseline(
            f"own history by {unit}",
            partial(own_history.score_by_own_history, unit),
            grid={"half_life": half_lives, "popularity": (0.001, 0.03, 0.1, 0.3, 1.0, 3.0)},
            sweeps=2,
            suits=_ranks_seen_with_times if unit is Unit.DAYS else _ranks_seen,
        )
    yield Baseline(
        "transitions and titles",
        transitions.score_by_transitions,
        grid={
            "gap_decay": (0.7, 0.3, 0.5, 0.85),
            "backward": (0.5, 0.25, 0.8),
            "column_power": (0.35, 0.2, 0.5),
            "half_life_moments": (2.0, 0.5, 1.0, 4.0, 10.0),
            "two_steps": (1.0, 0.0, 0.5, 2.0),
            "text": (0.15, 0.0, 0.05, 0.3, 0.6),
        },
        fit=transitions.count_transitions,
        start_tuning=transitions.start_tuning,
        fit_settings=frozenset({"gap_decay", "backward", "column_power"}),
    )
    yield Baseline(
        "linear associations",
        linear.score_linearly,
        grid={"ridge": (100.0, 10.0, 30.0, 300.0, 1000.0, 3000.0), "decay": (0.7, 0.5, 0.85, 0.95)},
        fit=linear.fit_weights,
        start_tuning=linear.start_tuning,
        fit_settings=frozenset({"ridge", "decay"}),
    )


BASELINES: tuple[Baseline, ...] = tuple(_list_baselines())


def list_suitable(task: Task) -> list[Baseline]:
    """List the baselines that a data set has everything for."""
    return [baseline for baseline in BASELINES if baseline.suits(task)]
