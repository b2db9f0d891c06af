"""The choice of baselines and settings: by the validation alone, and only where they have what they need."""

import dataclasses
from itertools import product

import numpy as np
import pytest

from portrait.training.baselines import comparison
from portrait.training.baselines.protocol import Task
from portrait.training.baselines.registry import BASELINES, list_suitable
from portrait.training.baselines.tuning import Baseline
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split
from portrait.training.metrics import ndcg


def test_settings_are_chosen_by_the_ranks_of_the_given_targets(task: Task) -> None:
    """A grid of one setting is searched whole, and of equal values the first is kept."""
    fits: list[float] = []

    def fit(_: Task, settings: dict[str, float]) -> float:
        fits.append(settings["power"])
        return settings["power"]

    def scorer(task: Task, fitted: float, settings: dict[str, float]):
        row = (task.holdout.item_counts**fitted * settings["sign"]).astype(np.float32)
        return lambda targets: np.tile(row, (len(targets), 1))

    baseline = Baseline(
        "test", scorer, {"power": (0.0, 1.0, 2.0), "sign": (1.0, -1.0)}, fit=fit, fit_settings=frozenset({"power"})
    )
    targets = task.holdout.validation
    value = {
        (power, sign): ndcg(task.find_ranks(scorer(task, power, {"sign": sign}), targets), 10).mean()
        for power, sign in product((0.0, 1.0, 2.0), (1.0, -1.0))
    }
    chosen = baseline.tune(task, targets)
    power = max((0.0, 1.0, 2.0), key=lambda each: value[each, 1.0])
    sign = max((1.0, -1.0), key=lambda each: value[power, each])
    assert chosen == {"power": power, "sign": sign}
    # One fit for each power, and one more to return to the chosen one.
    assert fits[:3] == [0.0, 1.0, 2.0]
    assert len(fits) <= 4


def test_tuning_never_reads_what_comes_after_the_validation(corpus: Corpus) -> None:
    """Other test targets, and another item in each of them, choose the same settings."""
    task = Task(corpus, hold_out(corpus, Split.LOO))
    later = corpus.event_item.copy()
    later[task.holdout.test] = (later[task.holdout.test] + 7) % len(corpus.items)
    other = Task(
        dataclasses.replace(corpus, event_item=later), dataclasses.replace(task.holdout, test=task.holdout.test[:1])
    )
    assert comparison.tune_baselines(task, 0) == comparison.tune_baselines(other, 0)


def test_own_history_is_left_out_where_seen_items_are_and_days_where_there_are_no_times(corpus: Corpus) -> None:
    holdout = hold_out(corpus, Split.LOO)
    masked = {each.name for each in list_suitable(Task(corpus, dataclasses.replace(holdout, mask_seen=True)))}
    ranked = {each.name for each in list_suitable(Task(corpus, dataclasses.replace(holdout, mask_seen=False)))}
    assert ranked == {each.name for each in BASELINES}
    assert masked == {name for name in ranked if "own history" not in name}
    columns = dataclasses.replace(corpus.columns, time=np.full(len(corpus.event_item), np.nan))
    timeless = dataclasses.replace(corpus, columns=columns)
    task = Task(timeless, hold_out(timeless, Split.LOO))
    names = {each.name for each in list_suitable(task)}
    assert not names & {"recent popularity", "own history by days"}
    found = comparison.rank_with_baselines(task, comparison.tune_baselines(task, 0), task.holdout.test)
    assert found.ranks.keys() == names


def test_ties_count_against_the_target_in_blocks_of_any_size(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    targets, random = task.holdout.test, np.random.default_rng(0)
    scores = random.integers(0, 4, (len(task.corpus.event_item), len(task.corpus.items))).astype(np.float32)
    monkeypatch.setattr("portrait.training.baselines.protocol._BLOCK_TARGETS", 3)
    found = Task(task.corpus, dataclasses.replace(task.holdout, mask_seen=False)).find_ranks(
        lambda part: scores[part], targets
    )
    for rank, target in zip(found, targets, strict=True):
        own = scores[target, task.corpus.event_item[target]]
        assert rank == (scores[target] >= own).sum() - 1


def test_kept_settings_are_used_only_if_they_are_those_of_the_baselines_of_today(task: Task) -> None:
    settings = comparison.tune_baselines(task, 0)
    assert comparison.require_settings(task, settings) == settings
    for other in (None, [], {}, {**settings, "gone": {}}, {name: {"old": 1.0} for name in settings}):
        assert comparison.require_settings(task, other) is None


def test_targets_are_drawn_ascending_and_alike_for_a_seed() -> None:
    targets = np.arange(100, 200)
    drawn = comparison.draw_targets(targets, 10, 3)
    assert np.array_equal(drawn, np.unique(drawn))
    assert np.isin(drawn, targets).all()
    assert np.array_equal(drawn, comparison.draw_targets(targets, 10, 3))
    assert np.array_equal(comparison.draw_targets(targets, 100, 3), targets)
