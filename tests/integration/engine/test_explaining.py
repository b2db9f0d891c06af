"""Explanations over a real Triton: each effect is the difference that leaving the event or word out makes."""

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from portrait.features.events import Event, EventType, Item
from portrait.features.histories import ENCODED_EVENTS
from portrait.server.engine import Engine, RankRequest
from portrait.server.errors import NotFound
from portrait.server.explaining import explain_profile, explain_recommendation

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LAMPS = ("Home", "Lamps")


def bought(item_id: str, days: float) -> Event:
    return Event(f"{item_id}, {days}", EventType.PURCHASE, NOW - timedelta(days=days), item_id, price=20.0)


HISTORY = [bought("frying-pan-red", 4), bought("desk-lamp-red", 3), bought("hedge-shears-black", 2)]


def soon() -> float:
    return asyncio.get_running_loop().time() + 10.0


async def test_an_events_effect_is_what_the_score_loses_without_it(engine: Engine) -> None:
    item = engine.get_item("products", "desk-lamp-blue")
    explained = await explain_recommendation(engine, RankRequest(HISTORY, NOW), item, deadline=soon())
    effects = {each.of: each.effect for each in explained.events}
    for place, event in enumerate(HISTORY):
        rest = [*HISTORY[:place], *HISTORY[place + 1 :]]
        request = RankRequest(rest, NOW, candidates=[Item(item.item_id, "")])
        without = (await engine.rank(request, deadline=soon())).items[0].score
        assert effects[event.event_id] == pytest.approx(explained.ranked.score - without, abs=1e-4)
    assert explained.events[0].of == HISTORY[1].event_id
    assert [each.effect for each in explained.events] == sorted(effects.values(), reverse=True)
    assert (explained.ranked.item, explained.release, explained.event_count) == (item, 1, 3)


async def test_words_that_the_history_holds_speak_for_an_item(engine: Engine) -> None:
    item = Item("desk-lamp-turquoise", "Turquoise desk lamp", category_path=LAMPS)
    await engine.upsert_items("words", [item], deadline=soon())
    request = RankRequest([bought("desk-lamp-red", 1)], NOW, catalogue="words")
    explained = await explain_recommendation(engine, request, item, deadline=soon())
    assert {each.of for each in explained.words} == {"Turquoise", "desk", "lamp"}
    assert explained.words[0].of in {"desk", "lamp"}
    assert explained.words[-1].of == "Turquoise"


async def test_a_title_of_one_word_has_no_effects_of_words(engine: Engine) -> None:
    item = Item("thing", "Lamp")
    await engine.upsert_items("single", [item], deadline=soon())
    request = RankRequest(HISTORY, NOW, catalogue="single")
    assert (await explain_recommendation(engine, request, item, deadline=soon())).words == []


async def test_without_a_history_no_event_has_an_effect(engine: Engine) -> None:
    item = engine.get_item("products", "desk-lamp-blue")
    explained = await explain_recommendation(engine, RankRequest([], NOW, query="lamp"), item, deadline=soon())
    assert explained.events == []
    assert explained.words


async def test_only_the_latest_events_are_left_out_in_turn(engine: Engine) -> None:
    history = [bought("desk-lamp-red", 100 - n) for n in range(ENCODED_EVENTS + 3)]
    explained = await explain_profile(engine, history, NOW, (), deadline=soon())
    assert {each.of for each in explained.events} == {event.event_id for event in history[3:]}
    assert explained.event_count == len(history)


async def test_an_interest_rests_on_the_events_in_it(engine: Engine) -> None:
    explained = await explain_profile(engine, HISTORY, NOW, LAMPS, deadline=soon())
    assert explained.events[0].of == HISTORY[1].event_id
    assert explained.events[0].effect == pytest.approx(explained.weight)
    assert all(each.effect < 0 for each in explained.events[1:])  # the others take from its share
    with pytest.raises(NotFound, match="interest"):
        await explain_profile(engine, HISTORY, NOW, ("Garden", "Ponds"), deadline=soon())


async def test_a_profile_moves_most_without_its_only_event(engine: Engine) -> None:
    explained = await explain_profile(engine, HISTORY[:1], NOW, (), deadline=soon())
    assert explained.events[0].effect == pytest.approx(1.0)
    both = await explain_profile(engine, HISTORY, NOW, (), deadline=soon())
    assert all(-1e-6 <= each.effect < 1.0 for each in both.events)
    assert np.isfinite([each.effect for each in both.events]).all()
