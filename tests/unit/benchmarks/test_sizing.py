"""The sizing: Zipf's law, the simulations on the real caches and keys, and what is computed from measured costs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command_line
from benchmarks.common.errors import BenchmarkError
from benchmarks.sizing import caches
from benchmarks.sizing.costs import CallCost, MeasuredCosts, extrapolate
from benchmarks.sizing.hot_keys import simulate_masters
from benchmarks.sizing.plan import list_components, list_limits
from benchmarks.sizing.workload import Workload
from benchmarks.sizing.zipf import Zipf

SMALL = Workload(shoppers=20_000, requests=200, visit_requests=5.0, gap_seconds=4.0, queries=50_000)
SECONDS = caches.WARM_SECONDS + caches.MEASURED_SECONDS


def draw(workload: Workload, exponent: float = 0.8) -> caches.Requests:
    return caches.draw_requests(workload, exponent, SECONDS, np.random.default_rng(0))


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 1.3])
def test_ranks_are_drawn_by_the_law(exponent: float) -> None:
    chances = np.arange(1, 51, dtype=float) ** -exponent
    chances /= chances.sum()
    counts = np.bincount(Zipf(50, exponent).draw(200_000, np.random.default_rng(1)), minlength=50)
    assert np.abs(counts / 200_000 - chances).max() < 0.005
    assert Zipf(50, exponent).top_share == pytest.approx(chances[0])


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 1.3])
def test_the_tail_that_is_integrated_is_that_of_the_law(exponent: float) -> None:
    exact, integrated = Zipf(100_000, exponent, head=100_000), Zipf(100_000, exponent, head=1_000)
    assert integrated.top_share == pytest.approx(exact.top_share, rel=1e-6)
    drawn = [law.draw(20_000, np.random.default_rng(2)) for law in (exact, integrated)]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1
    assert drawn[1].max() > 1_000


def test_requests_have_the_rate_from_the_first_second_on() -> None:
    requests = draw(SMALL)
    assert np.all(np.diff(requests.times) >= 0.0)
    for first in (0.0, SECONDS - 30.0):
        within = (requests.times >= first) & (requests.times < first + 30.0)
        assert within.sum() == pytest.approx(30 * SMALL.requests, rel=0.1)
    assert np.bincount(requests.kinds) / len(requests.kinds) == pytest.approx([0.6, 0.3, 0.1], abs=0.02)


def test_the_version_of_a_shopper_changes_with_events_and_is_nobody_elses() -> None:
    for chance, changed in ((1e-9, 0.0), (1.0, 1.0)):
        requests = draw(replace(SMALL, events_a_request=chance))
        order = np.lexsort((requests.times, requests.shoppers))
        same = np.diff(requests.shoppers[order]) == 0
        assert np.mean(np.diff(requests.versions[order])[same] > 0) == changed


def test_hits_need_the_process_of_the_shopper_a_history_and_a_catalogue_that_rest() -> None:
    rest = draw(replace(SMALL, events_a_request=1e-9, search_share=1e-9, profile_share=1e-9))
    hits = caches.simulate_responses(rest, 20, by_shopper=True, changes=0.0)
    assert hits > 0.8  # all but the first of a visit, and those after a minute
    assert caches.simulate_responses(rest, 20, by_shopper=False, changes=0.0) < hits / 2
    assert caches.simulate_responses(rest, 20, by_shopper=True, changes=100.0) < 0.05
    events = draw(replace(SMALL, events_a_request=1.0))
    assert caches.simulate_responses(events, 20, by_shopper=True, changes=0.0) == 0.0
    searches = draw(replace(SMALL, events_a_request=1e-9, search_share=1.0 - 1e-9, profile_share=1e-9))
    assert caches.simulate_responses(searches, 20, by_shopper=True, changes=0.0) == 0.0


def test_texts_hit_more_with_a_steeper_law_and_a_fuller_cache() -> None:
    hits = {
        (exponent, filled): caches.simulate_texts(SMALL, exponent, filled, 2_000)
        for exponent in (0.6, 1.0)
        for filled in (0, 20_000)
    }
    assert hits[0.6, 0] < hits[0.6, 20_000] < hits[1.0, 20_000]
    assert hits[1.0, 0] < hits[1.0, 20_000]


def test_masters_without_hot_shoppers_have_the_load_of_their_buckets() -> None:
    for load in simulate_masters(1_000_000, 0.0, [1, 4, 16]):
        assert load.busiest_share == pytest.approx(load.fullest_buckets / 256, rel=0.05)
    assert load.fullest_buckets >= 16


def test_costs_are_extended_by_the_power_law_of_the_largest_catalogues() -> None:
    costs = [CallCost(10, {"gateway": 1.0}), CallCost(100, {"gateway": 3.0}), CallCost(1_000, {"gateway": 6.0})]
    assert [extrapolate(costs, items, "gateway") for items in (5, 10, 11, 1_000)] == [1.0, 1.0, 3.0, 6.0]
    assert extrapolate(costs, 10_000, "gateway") == pytest.approx(12.0)
    unmeasured = [CallCost(100, {"text encoder": 0.0}), CallCost(1_000, {"text encoder": 0.07})]
    assert extrapolate(unmeasured, 10_000, "text encoder") == 0.07


def test_the_committed_results_have_all_costs() -> None:
    costs, workload = MeasuredCosts(), Workload()
    components = {each.name: each for each in list_components(workload, costs, hit_rate=0.0)}
    doubled = {each.name: each for each in list_components(replace(workload, requests=100_000), costs, hit_rate=0.0)}
    assert all(each.cost_month(workload) > 0.0 for each in components.values())
    assert doubled["gateways"].cores == pytest.approx(2 * components["gateways"].cores)
    assert doubled["state in Redis"].gib == pytest.approx(2 * components["state in Redis"].gib)
    cached = list_components(workload, costs, hit_rate=0.5)[0]
    assert components["gateways"].cores / 2 < cached.cores < components["gateways"].cores
    limits = list_limits(workload, costs)
    assert [each.excess for each in limits] == sorted((each.excess for each in limits), reverse=True)
    small = list_limits(replace(workload, shoppers=100_000, requests=10, items=10_000, changes=0.01), costs)
    assert all(each.excess < 1.0 for each in small)


def test_a_missing_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"serving\.json is missing"):
        MeasuredCosts(tmp_path).calls("Recommend")
    (tmp_path / "serving.json").write_text("[]", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="lacks the processor time of cold Recommend calls"):
        MeasuredCosts(tmp_path).calls("Recommend")
    with pytest.raises(BenchmarkError, match="has 0 rows of 'warm Recommend', not one"):
        _ = MeasuredCosts(tmp_path).warm_ms


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shoppers", "0"], "0 is not above 0"),
        (["--items", "0.5"], "0.5 is not above 0"),
        (["--gib-hour", "nan"], "nan is not above 0"),
        (["--visit-requests", "0.5"], "--visit-requests is at least 1"),
        (["--fill", "1.5"], "--fill is a share"),
        (["--profile-share", "0.9", "--search-share", "0.2"], "together at most 1"),
    ],
)
def test_wrong_assumptions_are_reported(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = command_line.main(["sizing", *arguments])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    assert message in capsys.readouterr().err
