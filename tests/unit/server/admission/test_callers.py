from hypothesis import given
from hypothesis import strategies as st

from portrait.server.admission.callers import ACTIVE_SECONDS, MAX_CALLERS, Callers


def test_memory_is_bounded_however_many_names_there_are() -> None:
    callers = Callers(0.5)
    for number in range(5 * MAX_CALLERS):
        name = callers.note_request(f"caller {number}", 0.0)
        callers.acquire(name, 1)
    assert len(callers) <= MAX_CALLERS + 1
    # Those beyond share one count.
    assert callers.note_request("one more", 0.0) == callers.note_request("another", 0.0)


def test_callers_who_ask_no_more_make_room() -> None:
    callers = Callers(0.5)
    for number in range(MAX_CALLERS):
        callers.note_request(f"caller {number}", 0.0)
    later = 2 * ACTIVE_SECONDS
    assert callers.note_request("late", later) == "late"
    assert len(callers) == 1


def test_one_call_is_granted_to_everybody() -> None:
    callers = Callers(0.01)
    callers.note_request("search", 0.0)
    callers.note_request("mail", 0.0)
    assert callers.allows("mail", 1, 10.0, 0.0)
    callers.acquire("mail", 1)
    assert not callers.allows("mail", 1, 10.0, 0.0)
    assert callers.allows("mail", 1, 10.0, 0.0, held=1)  # it is still the one call
    assert callers.allows("mail", 1, 10.0, 2 * ACTIVE_SECONDS)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.floats(0, 0.5)), max_size=50))
def test_while_others_ask_nobody_exceeds_its_share(asked: list[tuple[str, int, float]]) -> None:
    callers, limit, now = Callers(0.5), 20.0, 0.0
    callers.note_request("other", now)
    taken = {"a": 0, "b": 0, "c": 0}
    for name, units, passed in asked:
        now += passed
        callers.note_request("other", now)
        callers.note_request(name, now)
        if callers.allows(name, units, limit, now):
            callers.acquire(name, units)
            taken[name] += units
        assert taken[name] <= max(0.5 * limit, units)
