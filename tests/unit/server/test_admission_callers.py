from hypothesis import given
from hypothesis import strategies as st

from portrait.server.admission.callers import KEPT, WANTING_SECONDS, Callers


def test_memory_is_bounded_however_many_names_there_are() -> None:
    callers = Callers(0.5)
    for number in range(5 * KEPT):
        name = callers.ask(f"caller {number}", 0.0)
        callers.take(name, 1)
    assert len(callers) <= KEPT + 1
    # Those beyond share one count.
    assert callers.ask("one more", 0.0) == callers.ask("another", 0.0)


def test_callers_who_ask_no_more_make_room() -> None:
    callers = Callers(0.5)
    for number in range(KEPT):
        callers.ask(f"caller {number}", 0.0)
    later = 2 * WANTING_SECONDS
    assert callers.ask("late", later) == "late"
    assert len(callers) == 1


def test_one_call_is_granted_to_everybody() -> None:
    callers = Callers(0.01)
    callers.ask("search", 0.0)
    callers.ask("mail", 0.0)
    assert callers.may("mail", 1, 10.0, 0.0)
    callers.take("mail", 1)
    assert not callers.may("mail", 1, 10.0, 0.0)
    assert callers.may("mail", 1, 10.0, 0.0, held=1)  # it is still the one call
    assert callers.may("mail", 1, 10.0, 2 * WANTING_SECONDS)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.floats(0, 0.5)), max_size=50))
def test_while_others_ask_nobody_exceeds_its_share(asked: list[tuple[str, int, float]]) -> None:
    callers, limit, now = Callers(0.5), 20.0, 0.0
    callers.ask("other", now)
    taken = {"a": 0, "b": 0, "c": 0}
    for name, units, passed in asked:
        now += passed
        callers.ask("other", now)
        callers.ask(name, now)
        if callers.may(name, units, limit, now):
            callers.take(name, units)
            taken[name] += units
        assert taken[name] <= max(0.5 * limit, units)
