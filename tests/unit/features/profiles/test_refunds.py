"""Refunds against purchases, as a naive reading of the rule finds them; the number of looks grows with the history."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portrait.features.events import Event, EventType
from portrait.features.profiles.evidence import Evidence

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class CountedId(str):
    """An item id that counts how often it is hashed or compared."""

    looks = 0

    def __hash__(self) -> int:
        CountedId.looks += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        CountedId.looks += 1
        return super().__eq__(other)


def event(number: int, kind: EventType, item: str, seconds: int | None) -> Event:
    time = None if seconds is None else NOW - timedelta(days=1) + timedelta(seconds=seconds)
    return Event(f"e{number:05}", kind, time, item)


def taken_back(history: list[Event]) -> set[str]:
    """Ids of purchases that count nothing."""
    evidence = Evidence.from_history(history, NOW, lambda _: None)
    bought = (each for each in evidence.events if each.event.type is EventType.PURCHASE)
    return {each.event.event_id for each in bought if each.long == 0.0}


def expected(history: list[Event]) -> set[str]:
    """Each refund takes back the latest purchase of its item, not later than itself, that none took back before."""
    found: list[Event] = []
    for refund in (each for each in history if each.type is EventType.REFUND):
        for other in reversed(history):
            late = other.time is not None and refund.time is not None and other.time > refund.time
            if other.type is EventType.PURCHASE and other.item_id == refund.item_id and not late and other not in found:
                found.append(other)
                break
    return {each.event_id for each in found}


KINDS = st.sampled_from([EventType.PURCHASE, EventType.REFUND])


@given(st.lists(st.tuples(KINDS, st.sampled_from("ab"), st.integers(0, 3), st.booleans()), max_size=14))
def test_each_refund_takes_back_the_latest_purchase_it_can_be_of(drawn: list[tuple[EventType, str, int, bool]]) -> None:
    second, history = 0, []
    for number, (kind, item, later, timed) in enumerate(drawn):
        second += later
        history.append(event(number, kind, item, second if timed else None))
    assert taken_back(history) == expected(history)


def test_a_long_history_of_refunds_is_gone_through_once() -> None:
    count = 1_000
    history = [event(n, EventType.REFUND, CountedId("item"), n) for n in range(count)]
    history += [event(n, EventType.PURCHASE, CountedId("item"), n) for n in range(count, 2 * count)]
    CountedId.looks = 0
    taken_back(history)
    assert CountedId.looks <= 20 * len(history)
