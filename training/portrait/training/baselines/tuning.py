"""A baseline, and the choice of its settings by validation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training.baselines.protocol import Scorer, Settings, Task
from portrait.training.metrics import ndcg


def _fit_nothing(_: Task, __: Settings) -> None:
    return None


def _suits_all(_: Task) -> bool:
    return True


@dataclass(frozen=True)
class Baseline:
    """A way to rank, and the grid that its settings are chosen from."""

    name: str
    scorer: Callable[[Task, Any, Settings], Scorer]
    """Makes a scorer of what was fitted."""
    grid: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Values of each setting; the search begins with the first of each."""
    fit: Callable[[Task, Settings], Any] = _fit_nothing
    start_tuning: Callable[[Task], Callable[[Settings], Any]] | None = None
    """Makes a cheaper fit by which settings are chosen, such as one that keeps what they share; None for `fit`."""
    fit_settings: frozenset[str] = frozenset()
    """Settings that the fit depends on; the others are the scorer's alone."""
    sweeps: int = 1
    """Number of times that the search goes over all settings: more where they depend on each other and are cheap."""
    suits: Callable[[Task], bool] = _suits_all
    """Tells whether a data set has what the baseline needs."""

    def make_scorer(self, task: Task, settings: Settings) -> Scorer:
        """Fit to the task's training events with given settings."""
        return self.scorer(task, self.fit(task, settings), settings)

    def tune(self, task: Task, targets: NDArray[np.int64]) -> Settings:
        """Choose settings by NDCG@10: one setting after the other, the others as chosen so far.

        Args:
            task: the data set; the fits learn from its training events alone.
            targets: validation events to rank.
        """
        chosen = {name: values[0] for name, values in self.grid.items()}
        if not self.grid:
            return chosen
        search = _Search(self, task, targets)
        best = search.measure(chosen)
        for name, values in list(self.grid.items()) * self.sweeps:
            for value in values:
                tried = chosen | {name: value}
                if tried != chosen and (found := search.measure(tried)) > best:
                    best, chosen = found, tried
        return chosen


class _Search:
    """Measures settings of one baseline; fits again only where a setting of the fit changes."""

    def __init__(self, baseline: Baseline, task: Task, targets: NDArray[np.int64]) -> None:
        self._baseline, self._task, self._targets = baseline, task, targets
        self._fit_settings = baseline.start_tuning(task) if baseline.start_tuning else partial(baseline.fit, task)
        self._fitted: tuple[Settings, Any] | None = None

    def measure(self, settings: Settings) -> float:
        """NDCG@10 of the targets."""
        scorer = self._baseline.scorer(self._task, self._fit(settings), settings)
        return float(ndcg(self._task.find_ranks(scorer, self._targets), 10).mean())

    def _fit(self, settings: Settings) -> Any:
        key = {name: value for name, value in settings.items() if name in self._baseline.fit_settings}
        if self._fitted is None or self._fitted[0] != key:
            self._fitted = key, self._fit_settings(settings)
        return self._fitted[1]
