import numpy as np

from portrait.features.events import Event, EventType
from portrait.server.inference.embedding_cache import ProfileEmbeddingCache

VECTOR = np.array([1.0, 0.0], dtype=np.float32)


def events(count: int) -> list[Event]:
    return [Event(f"e{number}", EventType.VIEW, None, f"item {number}") for number in range(count)]


def test_a_history_is_found_again_and_so_is_what_it_was_some_events_ago() -> None:
    remembered = ProfileEmbeddingCache()
    remembered.put(events(100), VECTOR)
    assert remembered.get(events(100)) is not None
    assert remembered.get(events(103)) is not None
    assert remembered.get(events(99)) is None
    assert remembered.get(events(150)) is None
    assert remembered.get([]) is None


def test_memory_is_bounded_and_the_latest_stay() -> None:
    remembered = ProfileEmbeddingCache(limit=10)
    batch = np.zeros((100, 2), dtype=np.float32)
    for count in range(1, 101):
        remembered.put(events(count), batch[count - 1])
    assert len(remembered) == 10
    kept = remembered.get(events(100))
    assert kept is not None
    assert kept.base is None  # of its own, not a view that keeps its batch


def test_histories_that_differ_in_what_was_done_are_told_apart() -> None:
    remembered = ProfileEmbeddingCache()
    remembered.put(events(3), VECTOR)
    bought = [each._replace(type=EventType.PURCHASE) for each in events(3)]
    assert remembered.get(bought) is None
    assert remembered.get([*events(2), events(3)[-1]._replace(price=5.0)]) is None
