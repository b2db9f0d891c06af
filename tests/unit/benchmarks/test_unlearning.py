"""The attack on forgotten shoppers: it finds members where there is something to find, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from support import tiny_data

from benchmarks.unlearning.attack import ENCODERS, RANKING, Attacked, Scored, measure_auc
from benchmarks.unlearning.report import judge
from benchmarks.unlearning.runs import RETRAINED, UNLEARNT
from benchmarks.unlearning.sets import DRAWS, draw_sets, write_deletions
from portrait.training.dataset.corpus import load_corpus


def test_sets_are_nested_and_apart_from_the_unseen() -> None:
    sets = draw_sets(1200, (5, 20), 0)
    small, large = set(sets.forgotten[5].tolist()), set(sets.forgotten[20].tolist())
    assert (len(sets.unseen), len(small), len(large)) == (200, 50, 200)
    assert small < large
    assert large.isdisjoint(sets.unseen.tolist())
    assert sets.largest == 20


def test_draws_have_no_shopper_in_common() -> None:
    drawn = [draw_sets(3231, (20,), draw) for draw in range(DRAWS)]
    attacked = np.concatenate([np.concatenate([each.unseen, each.forgotten[20]]) for each in drawn])
    assert len(np.unique(attacked)) == len(attacked) > 3200


def test_the_list_is_one_that_prepare_reads(tmp_path: Path) -> None:
    written = write_deletions(["a", "b"], tmp_path / "new" / "list.csv").read_text(encoding="utf-8").splitlines()
    assert written[0] == "shopper_sha256,forgotten_at"
    assert [line.partition(",")[0][:8] for line in written[1:]] == ["ca978112", "3e23e816"]


def test_the_area_is_that_of_members_above_others() -> None:
    scores = np.array([3.0, 2.0, np.nan, 1.0, 0.0, 2.0])
    scored = Scored.choose(scores, np.array([0, 1, 2]), np.array([3, 4, 5]))
    found = measure_auc([scored], [scored])
    assert found["auc"] == pytest.approx((3 + 2.5) / 6)
    assert (found["members"], found["others"]) == (2, 3)
    same = Scored(np.tile([1.0, 2.0], 100), np.tile([1.0, 2.0], 100))
    alone, together = (measure_auc(draws, draws) for draws in ([same], [same] * 4))
    assert alone["auc"] == together["auc"] == pytest.approx(0.5)
    assert alone["interval"][0] < together["interval"][0] < 0.5 < together["interval"][1] < alone["interval"][1]


def test_what_a_model_foresees_better_than_a_retrained_one_is_paired_by_shopper() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 200))
    floor, found = Scored(*scores), Scored(scores[0] + 0.1, scores[1])
    same, more = measure_auc([floor], [floor])["minus_retrained"], measure_auc([found], [floor])["minus_retrained"]
    assert (same["difference"], same["interval"]) == (0, (0, 0))
    assert more["interval"][0] > 0
    assert more["interval"][1] - more["interval"][0] < 0.05


def test_whoever_is_foreseen_better_than_by_the_references_scores_high(tmp_path: Path) -> None:
    corpus = load_corpus(tiny_data.write(tmp_path / "data", shoppers=4))
    events = np.flatnonzero(corpus.event_item >= 0)
    attacked = Attacked(corpus, {ENCODERS: events, RANKING: events[corpus.event_shopper[events] < 3]})
    hard = corpus.event_shopper[events].astype(float)
    losses = {signal: hard[: len(rows)] for signal, rows in attacked.events.items()}
    known = {signal: values - (values == 2) for signal, values in losses.items()}
    scores = attacked.score(known, [losses, losses])
    np.testing.assert_allclose(scores[ENCODERS], [0, 0, 1, 0])
    np.testing.assert_allclose(scores[RANKING], [0, 0, 1, np.nan])


@pytest.mark.parametrize(
    ("auc", "interval", "seconds", "passed"),
    [
        (0.52, (-0.01, 0.0), 20.0, [True, True, True]),
        (0.53, (-0.02, -0.01), 20.1, [False, False, False]),
    ],
)
def test_targets_are_judged(auc: float, interval: tuple[float, float], seconds: float, passed: list[bool]) -> None:
    aucs = {ENCODERS: {"auc": 0.4}, RANKING: {"auc": auc}}
    good, other = (
        {
            "minus_retrained": {UNLEARNT: {"difference": -0.01, "interval": bounds}},
            "seconds": {UNLEARNT: spent, RETRAINED: 100.0, "baselines": 20.0},
        }
        for bounds, spent in (((-0.01, 0.01), 10.0), (interval, seconds))
    )
    assert [row["passed"] for row in judge(aucs, [good, other])] == passed
