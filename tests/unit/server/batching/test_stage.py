"""Properties of the batcher under any workload, simulated."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.common.batching_policies import POLICIES
from benchmarks.common.batching_simulation import (
    FIXED,
    PER_PLACE,
    Outcome,
    SimulatedModel,
    Text,
    draw_burst_arrivals,
    draw_poisson_arrivals,
    make_gateway_batcher,
    simulate,
)
from portrait.server.batching.shapes import Shapes, group_lengths
from portrait.server.batching.stage import LOOKAHEAD_BATCHES

SHAPES = Shapes(lengths=(4, 8, 12, 16), rows=(1, 2, 3, 4, 6, 8), budget=32, overhead=5, min_fill_when_busy=0.8)
BATCH_SECONDS = 1.0
LENGTHS = [max(4, min(64, round(random.Random(place).lognormvariate(2.9, 0.4)))) for place in range(1000)]
"""As those of titles."""

few = settings(max_examples=30)
"""Each example is a whole workload."""

seconds = st.floats(0.0, 10.0, allow_nan=False)


@st.composite
def texts(draw: st.DrawFn) -> list[Text]:
    count = draw(st.integers(1, 40))
    return [
        Text(
            number,
            draw(seconds),
            draw(st.integers(1, 20)),
            draw(st.sampled_from("abc")),
            draw(st.booleans()),
            draw(st.just(math.inf) | seconds),
            draw(st.just(math.inf) | seconds),
        )
        for number in range(count)
    ]


def simulated(workload: list[Text], limit: int = 1000, instances: int = 1) -> Outcome:
    model = SimulatedModel(fixed=BATCH_SECONDS, per_place=0.0, instances=instances)
    return simulate(workload, lambda model: make_gateway_batcher(model, SHAPES, limit), model)


@given(texts(), st.integers(1, 40), st.integers(1, 3))
@few
def test_every_text_ends_in_one_way_and_runs_once_at_most(workload: list[Text], limit: int, instances: int) -> None:
    outcome = simulated(workload, limit, instances)
    runs = Counter(text.number for _, batch, _ in outcome.model.batches for text in batch)
    assert max(runs.values(), default=1) == 1
    ends = [*outcome.seconds, *outcome.late, *outcome.left, *outcome.refused]
    assert sorted(ends) == [text.number for text in workload]
    assert outcome.seconds.keys() <= runs.keys()
    assert not runs.keys() & outcome.refused


@given(texts(), st.integers(1, 3))
@few
def test_nothing_runs_that_nobody_waits_for(workload: list[Text], instances: int) -> None:
    outcome = simulated(workload, instances=instances)
    for sent, batch, _ in outcome.model.batches:
        for text in batch:
            assert sent < text.arrives + text.patience
            assert sent <= outcome.left.get(text.number, math.inf)
    assert not {text.number for _, batch, _ in outcome.model.batches for text in batch} & outcome.late.keys()


@given(texts(), st.integers(1, 3))
@few
def test_batches_have_the_shapes_and_the_budget_they_may_have(workload: list[Text], instances: int) -> None:
    for _, batch, length in simulated(workload, instances=instances).model.batches:
        assert length == SHAPES.padded_length(max(text.length for text in batch))
        assert len(batch) in SHAPES.rows
        assert len(batch) == 1 or len(batch) * length <= SHAPES.budget


@given(st.lists(st.tuples(st.integers(1, 16), st.floats(50.0, 99.0)), min_size=1, max_size=60))
def test_a_callers_own_work_goes_by_deadline(told: list[tuple[int, float]]) -> None:
    """As far as the lengths are alike, and beyond what is composed already: all of it is here at once."""
    workload = [Text(place, 0.0, length, patience=patience) for place, (length, patience) in enumerate(told)]
    last: dict[int, float] = {}
    batches = simulated(workload).model.batches
    for _, batch, _ in batches:
        for padded in {SHAPES.padded_length(text.length) for text in batch}:
            deadlines = [text.patience for text in batch if SHAPES.padded_length(text.length) == padded]
            assert min(deadlines) >= last.get(padded, 0.0)
            last[padded] = max(deadlines)
    first = min(workload, key=lambda text: text.patience)
    assert first.number in {text.number for text in batches[0][1]}


@pytest.mark.slow
@given(st.integers(1, 200), st.lists(st.integers(1, 16), min_size=1, max_size=10), st.floats(0.0, 5.0))
def test_a_caller_with_little_does_not_wait_for_one_with_much(much: int, little: list[int], arrives: float) -> None:
    """Two batches may be under way; then each text of the little is in one of the next batches."""
    workload = [Text(number, 0.0, 1 + number % 16, "bulk") for number in range(much)]
    workload += [Text(much + place, arrives, length, "page") for place, length in enumerate(little)]
    outcome = simulated(workload)
    waits = [outcome.seconds[much + place] for place in range(len(little))]
    # A text of 16 places is served for what the other caller got up to then, at worst one batch for each text.
    assert max(waits) <= BATCH_SECONDS * (3 + 2 * len(little))


@given(st.integers(2, 4), st.integers(20, 100))
@few
def test_callers_who_want_more_than_there_is_get_like_shares(callers: int, each: int) -> None:
    workload = [Text(number, 0.0, 1 + number % 16, str(number % callers)) for number in range(callers * each)]
    served: Counter[str] = Counter()
    left = Counter({str(caller): each for caller in range(callers)})
    for _, batch, _ in simulated(workload).model.batches:
        for text in batch:
            served[text.caller] += text.length
            left[text.caller] -= 1
        if min(left.values()) == 0:
            return
        assert max(served.values()) - min(served[str(caller)] for caller in range(callers)) <= (
            (LOOKAHEAD_BATCHES + 1) * SHAPES.budget
        )


@given(texts())
@few
def test_background_work_waits_for_all_the_rest(workload: list[Text]) -> None:
    """Background work that arrives with interactive work runs after it, unless it fills up a batch of it."""
    at_once = [
        Text(text.number, 0.0, text.length, text.caller, text.background) for text in workload
    ]  # fmt: skip
    batches = simulated(at_once).model.batches
    left = sum(not text.background for text in at_once)
    for _, batch, _ in batches:
        if left:
            assert not all(text.background for text in batch)
        left -= sum(not text.background for text in batch)


@given(st.dictionaries(st.sampled_from(SHAPES.lengths), st.integers(1, 40), min_size=1))
def test_no_cut_is_cheaper(waiting: dict[int, int]) -> None:
    lengths = sorted(waiting)

    def cost(groups: list[list[int]]) -> float:
        total = 0.0
        for group in groups:
            rows = sum(waiting[length] for length in group)
            total += rows * group[-1] + SHAPES.overhead * -(-rows // SHAPES.max_rows(group[-1]))
        return total

    every = []
    for borders in range(1 << (len(lengths) - 1)):
        groups = [[lengths[0]]]
        for place, length in enumerate(lengths[1:]):
            if borders >> place & 1:
                groups.append([length])
            else:
                groups[-1].append(length)
        every.append(groups)
    found = group_lengths(waiting, SHAPES)
    assert [length for group in found for length in group] == lengths
    assert cost(found) == min(map(cost, every))


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 32])
def test_it_is_faster_than_other_policies_under_load(size: int) -> None:
    """The capacity of all of the others lies below this load."""
    source = draw_poisson_arrivals(random.Random(1), LENGTHS, 2000, 1.0) if size == 1 else None
    workload = list(source or draw_burst_arrivals(random.Random(1), LENGTHS, 2000, 1.0, size))
    results = {name: simulate(workload, policy).summary() for name, policy in POLICIES.items()}
    own = results.pop("ours")
    assert own["p99_ms"] < 0.5 * min(each["p99_ms"] for each in results.values())
    assert own["texts_per_second"] > 1.2 * max(each["texts_per_second"] for each in results.values())


def test_alone_a_text_waits_for_nothing() -> None:
    workload = [Text(0, 0.0, 12)]
    assert simulate(workload, make_gateway_batcher).seconds[0] == pytest.approx(FIXED + 12 * PER_PLACE)
