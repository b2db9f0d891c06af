"""Explanations over a real Triton: each effect is the difference that leaving the event or word out makes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from portrait.features.events import Event, EventType, Item
from portrait.features.profiles.evidence import MAX_EXPLAINED_EVENTS
from portrait.server.engine import Engine
from portrait.server.errors import NotFound
from portrait.server.explanation.counterfactuals import ProfilePart, explain_profile, explain_recommendation
from portrait.server.profiles.compute import compute_profile
from portrait.server.recommendation.ranking import RankRequest, rank

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LAMPS = ("Home", "Lamps")


def bought(item_id: str, days: float) -> Event:
    return Event(f"{item_id}, {days}", EventType.PURCHASE, NOW - timedelta(days=days), item_id, price=20.0)


HISTORY = [bought("frying-pan-red", 4), bought("desk-lamp-red", 3), bought("hedge-shears-black", 2)]


def soon() -> float:
    return asyncio.get_running_loop().time() + 60.0


async def test_an_events_effect_is_what_the_score_loses_without_it(engine: Engine) -> None:
    item = engine.get_item("products", "desk-lamp-blue")
    explained = await explain_recommendation(engine, RankRequest(HISTORY, NOW), item, deadline=soon())
    effects = {each.event.event_id: each.effect for each in explained.events}
    for place, event in enumerate(HISTORY):
        rest = [*HISTORY[:place], *HISTORY[place + 1 :]]
        request = RankRequest(rest, NOW, candidates=[Item(item.item_id, "")])
        without = (await rank(engine, request, deadline=soon())).items[0].score
        assert effects[event.event_id] == pytest.approx(explained.ranked_item.score - without, abs=1e-4)
    assert explained.events[0].event == HISTORY[1]
    assert [each.effect for each in explained.events] == sorted(effects.values(), reverse=True)
    assert (explained.ranked_item.item, explained.release, explained.event_count) == (item, 1, 3)


async def test_words_that_the_history_holds_speak_for_an_item(engine: Engine) -> None:
    item = Item("desk-lamp-turquoise", "Turquoise desk lamp", category_path=LAMPS)
    await engine.upsert_items("words", [item], deadline=soon())
    request = RankRequest([bought("desk-lamp-red", 1)], NOW, catalogue="words")
    explained = await explain_recommendation(engine, request, item, deadline=soon())
    assert {each.word for each in explained.words} == {"Turquoise", "desk", "lamp"}
    assert explained.words[0].word in {"desk", "lamp"}
    assert explained.words[-1].word == "Turquoise"


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
    history = [bought("desk-lamp-red", 100 - n) for n in range(MAX_EXPLAINED_EVENTS + 3)]
    explained = await explain_profile(engine, history, NOW, ProfilePart(), deadline=soon())
    assert {each.event.event_id for each in explained.events} == {event.event_id for event in history[3:]}
    assert explained.event_count == len(history)


async def test_an_interest_rests_on_the_events_in_it(engine: Engine) -> None:
    explained = await explain_profile(engine, HISTORY, NOW, ProfilePart(LAMPS), deadline=soon())
    assert explained.events[0].event == HISTORY[1]
    assert explained.events[0].effect == pytest.approx(explained.weight)
    assert all(each.effect < 0 for each in explained.events[1:])  # the others take from its share
    with pytest.raises(NotFound, match="interest"):
        await explain_profile(engine, HISTORY, NOW, ProfilePart(("Garden", "Ponds")), deadline=soon())


async def test_a_profile_moves_most_without_its_only_event(engine: Engine) -> None:
    explained = await explain_profile(engine, HISTORY[:1], NOW, ProfilePart(), deadline=soon())
    assert explained.events[0].effect == pytest.approx(1.0)
    both = await explain_profile(engine, HISTORY, NOW, ProfilePart(), deadline=soon())
    assert all(-1e-6 <= each.effect < 1.0 for each in both.events)
    assert np.isfinite([each.effect for each in both.events]).all()


async def test_an_inferred_interest_rests_on_what_leads_to_it(engine: Engine) -> None:
    # After the last rug comes the first pan, in the tiny release's associations.
    rugs = [bought("jute-rug-black", 1)._replace(event_id=str(nth)) for nth in range(6)]
    history = [bought("wool-rug-red", 5), *rugs]
    profile = await compute_profile(engine, history, NOW, fields=frozenset({"interests"}), deadline=soon())
    [inferred] = [each for each in profile.interests if each.inferred]
    explained = await explain_profile(engine, history, NOW, ProfilePart(inferred.category_path), deadline=soon())
    effects = {each.event.event_id: each.effect for each in explained.events}
    # The sum s of the associations is 3, and 2.5 without one rug; the chance is s / (1 + s). The profile would not
    # tell of 2.5 / 3.5, less than three times what is usual; the effect is the difference all the same.
    assert [effects[rug.event_id] for rug in rugs] == pytest.approx([3 / 4 - 2.5 / 3.5] * len(rugs))
    assert effects[history[0].event_id] == pytest.approx(0.0)
    assert (explained.probability, explained.weight) == (inferred.next_event_probability, 0.0)


async def test_a_trait_rests_on_the_events_that_move_its_probability(engine_with_traits: Engine) -> None:
    history = [bought("desk-lamp-red", 40), bought("desk-lamp-red", 7)]
    lapses, buys = [
        await explain_profile(engine_with_traits, history, NOW, ProfilePart(trait=name), deadline=soon())
        for name in ("lapses", "buys")
    ]
    # The tiny graph reads log(1 + days since the last purchase) with a slope of a half, and of minus a half.
    with_both, without_last = 1 / (1 + 8**0.5), 1 / (1 + 41**0.5)
    assert (buys.probability, buys.weight) == (pytest.approx(with_both, abs=1e-3), 0.0)
    assert [each.event for each in buys.events] == history[::-1]
    assert [each.effect for each in buys.events] == pytest.approx([with_both - without_last, 0.0], abs=1e-3)
    assert [each.event for each in lapses.events] == history
    assert lapses.events[-1].effect == pytest.approx(without_last - with_both, abs=1e-3)


async def test_the_only_event_that_makes_a_trait_say_anything_has_all_of_it(engine_with_traits: Engine) -> None:
    explained = await explain_profile(
        engine_with_traits, [bought("desk-lamp-red", 7)], NOW, ProfilePart(trait="buys"), deadline=soon()
    )
    assert explained.probability is not None
    assert [each.effect for each in explained.events] == [explained.probability]


@pytest.mark.parametrize(
    ("trait", "days", "why"),
    [("sings", 7, "declares no trait"), ("rare", 7, "too few"), ("buys", 91, "no event in the 90 days before")],
)
async def test_a_trait_without_a_probability_is_not_explained(
    engine_with_traits: Engine, trait: str, days: float, why: str
) -> None:
    with pytest.raises(NotFound, match=why):
        await explain_profile(
            engine_with_traits, [bought("desk-lamp-red", days)], NOW, ProfilePart(trait=trait), deadline=soon()
        )


async def test_events_are_told_in_words(engine: Engine) -> None:
    history = [
        Event("a search", EventType.SEARCH, NOW, query="a lamp"),
        bought("desk-lamp-red", 0),
        bought("sold-out", 0),
    ]
    explained = await explain_profile(engine, history, NOW, ProfilePart(), deadline=soon())
    told = {each.event.event_id: each.subject for each in explained.events}
    assert told == {"a search": "a lamp", "desk-lamp-red, 0": "Red desk lamp", "sold-out, 0": "sold-out"}


async def test_without_a_word_no_other_word_is_cut(engine: Engine) -> None:
    item = Item("art", "Art party artisan cake")
    await engine.upsert_items("art", [item], deadline=soon())
    words = (await explain_recommendation(engine, RankRequest(HISTORY, NOW, "art"), item, deadline=soon())).words
    rest = replace(item, title="Art party artisan")
    whole, without = [
        (await rank(engine, RankRequest(HISTORY, NOW, "art", candidates=[each]), deadline=soon())).items[0].score
        for each in (item, rest)
    ]
    assert {each.word: each.effect for each in words}["cake"] == pytest.approx(whole - without, abs=1e-4)


async def test_a_word_is_left_out_of_brand_and_attributes_too(engine: Engine) -> None:
    item = Item("acme-lamp", "Acme lamp red", brand="Acme", attributes={"colour": "red"})
    await engine.upsert_items("brands", [item], deadline=soon())
    request = RankRequest(HISTORY, NOW, "brands")
    words = (await explain_recommendation(engine, request, item, deadline=soon())).words
    bare = replace(item, title="lamp red", brand=None)
    whole, rest = [
        (await rank(engine, replace(request, candidates=[each]), deadline=soon())).items[0].score
        for each in (item, bare)
    ]
    assert {each.word: each.effect for each in words}["Acme"] == pytest.approx(whole - rest, abs=1e-4)


async def test_all_events_of_one_item_are_left_out_together_too(engine: Engine) -> None:
    lamps = [bought("desk-lamp-red", days) for days in (9, 6, 3)]
    asked = Event("a search", EventType.SEARCH, NOW, query="lamp")
    history = [*lamps[:2], bought("frying-pan-red", 4), lamps[2], asked, asked._replace(event_id="another")]
    item = engine.get_item("products", "desk-lamp-blue")
    explained = await explain_recommendation(engine, RankRequest(history, NOW), item, deadline=soon())
    rest = RankRequest([event for event in history if event not in lamps], NOW, candidates=[Item(item.item_id, "")])
    without = (await rank(engine, rest, deadline=soon())).items[0].score
    [together] = explained.items
    assert (together.subject, together.events) == ("Red desk lamp", lamps)
    assert together.effect == pytest.approx(explained.ranked_item.score - without, abs=1e-4)
    assert together.effect > max(each.effect for each in explained.events if each.event in lamps)
    interest = await explain_profile(engine, history, NOW, ProfilePart(LAMPS), deadline=soon())
    assert interest.items[0].effect == pytest.approx(interest.weight)
