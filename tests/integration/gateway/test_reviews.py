"""Reviews over a real gateway: every answer follows them at once, says who decided, and is as before without them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.command_line import run_portrait
from support.gateway import RunningGateway

from portrait.client import (
    Client,
    Consent,
    Event,
    EventType,
    InvalidRequestError,
    NotFoundError,
    Profile,
    Purpose,
    Ranking,
    Review,
    ReviewAction,
    ReviewSegment,
    ReviewTarget,
    Shelf,
    ShelfKind,
)

NOW = datetime.now(UTC).replace(microsecond=0)
LAMPS, RUGS = ("Home", "Lamps"), ("Home", "Rugs")
EVENTS = [
    Event(EventType.PURCHASE, "e1", NOW - timedelta(days=9), "desk-lamp-red", price=9.5),
    Event(EventType.VIEW, "e2", NOW - timedelta(days=8), "wool-rug-blue"),
    Event(EventType.PURCHASE, "e3", NOW - timedelta(days=6), "frying-pan-black", price=20.0),
    Event(EventType.VIEW, "e4", NOW - timedelta(days=5), "desk-lamp-blue"),
    Event(EventType.VIEW, "e5", NOW - timedelta(days=4), "wool-rug-red"),
]
CANDIDATES = ["desk-lamp-red", "wool-rug-blue", "frying-pan-black"]


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


@pytest.fixture
def known(client: Client, shopper: str) -> str:
    client.record_events((shopper, event) for event in EVENTS)
    return shopper


@contextmanager
def reviewed(client: Client, *reviews: Review) -> Iterator[None]:
    """Keep reviews for the time of the block."""
    try:
        for each in reviews:
            client.set_review(each)
        yield
    finally:
        for each in reviews:
            client.remove_review(each.target)


def block(**target: object) -> Review:
    return Review(ReviewTarget(**target), ReviewAction.BLOCK, reviewed_by="ana")  # type: ignore[arg-type]


def answers(client: Client, shopper: str | list[Event]) -> tuple[Profile, Ranking, Ranking, Shelf]:
    profile = replace(client.get_profile(shopper, as_of=NOW), shopper_id="", computed_at=NOW)
    ranked = client.rank(shopper, CANDIDATES, as_of=NOW)
    shelf = client.get_shelf(shopper, ShelfKind.RECENTLY_VIEWED, as_of=NOW)
    return profile, client.recommend(shopper, k=9, as_of=NOW), ranked, shelf


def weights(profile: Profile) -> dict[tuple[str, ...], float]:
    return {each.category_path: each.weight for each in profile.interests}


def without_reviewers(found: tuple[Profile, Ranking, Ranking, Shelf]) -> tuple[Profile, Ranking, Ranking, Shelf]:
    profile, *others = found
    return replace(profile, reviewed_by=()), *(replace(each, reviewed_by=()) for each in others)  # type: ignore[return-value]


def test_with_a_blocked_interest_everything_is_as_without_its_events(client: Client, known: str) -> None:
    before = answers(client, known)
    client.record_events(
        (f"{known}-other", each) for each in EVENTS if not each.item_id.startswith("desk-lamp")
    )  # fmt: skip
    with reviewed(client, block(interest=LAMPS, shopper_id=known)):
        found = answers(client, known)
        assert without_reviewers(found) == answers(client, f"{known}-other")
        assert {each.reviewed_by for each in found} == {("ana",)}
        [batched] = client.batch_get_profiles([known], as_of=NOW)
        assert isinstance(batched, Profile)
        assert not any(path[:2] == LAMPS for path in weights(batched))
        with pytest.raises(NotFoundError) as error:
            client.explain_profile(known, interest=LAMPS)
        assert error.value.reason == "INTEREST_UNKNOWN"
        explained = client.explain_recommendation(known, "desk-lamp-red")
        assert {each.event_id for each in explained.events} == {"e2", "e3", "e5"}
    assert answers(client, known) == before


def test_an_interest_is_corrected_or_pinned(client: Client, known: str) -> None:
    corrected = Review(ReviewTarget(interest=RUGS, shopper_id=known), ReviewAction.CORRECT, 0.875, "ana")
    pinned = Review(ReviewTarget(interest=("Garden",), shopper_id=known), ReviewAction.PIN, 0.25, "bo", "asked for it")
    unstated = Review(ReviewTarget(interest=("Toys",), shopper_id=known), ReviewAction.CORRECT, 0.5, "bo")
    plain = client.explain_profile(known, interest=RUGS)
    with reviewed(client, corrected, pinned, unstated):
        profile = client.get_profile(known)
        found = {each.category_path: each for each in profile.interests}
        assert (found[RUGS].weight, found[RUGS].confidence, found[RUGS].reviewed_by) == (0.875, 1.0, "ana")
        assert found[RUGS].evidence_event_ids
        assert (found["Garden",].weight, found["Garden",].evidence_event_ids) == (0.25, ())
        assert ("Toys",) not in found
        assert profile.reviewed_by == ("ana", "bo")
        assert [each.weight for each in profile.interests if not each.inferred] == sorted(
            (each.weight for each in profile.interests if not each.inferred), reverse=True
        )
        explained = client.explain_profile(known, interest=RUGS)
        assert (explained.weight, explained.reviewed_by) == (pytest.approx(plain.weight), "ana")


def test_a_trait_is_blocked_corrected_or_pinned(client: Client, known: str) -> None:
    def read() -> dict[str, tuple[float | None, str]]:
        profile = client.get_profile(known, fields=["traits"])
        return {each.name: (each.probability, each.reviewed_by) for each in profile.traits}

    plain = read()
    learnt = next(name for name, (probability, _) in plain.items() if probability is not None)
    assert plain["rare"] == (None, "")  # the release has not learnt it
    with reviewed(client, block(trait=learnt, shopper_id=known)):
        assert read()[learnt] == (None, "ana")
        with pytest.raises(NotFoundError, match="a review blocks it"):
            client.explain_profile(known, trait=learnt)
    with reviewed(client, Review(ReviewTarget(trait=learnt, shopper_id=known), ReviewAction.CORRECT, 0.5, "bo")):
        assert read()[learnt] == (0.5, "bo")
        explained = client.explain_profile(known, trait=learnt)
        assert (explained.probability, explained.reviewed_by) == (pytest.approx(plain[learnt][0], abs=1e-5), "bo")
    for action, stated in ((ReviewAction.PIN, (1.0, "bo")), (ReviewAction.CORRECT, (None, ""))):
        with reviewed(client, Review(ReviewTarget(trait="rare", shopper_id=known), action, 1.0, "bo")):
            assert read()["rare"] == stated
    after = read()
    assert after.keys() == plain.keys()
    for name, (probability, reviewer) in plain.items():  # batches of other sizes round differently
        assert after[name] == (probability and pytest.approx(probability, abs=1e-5), reviewer)


def test_an_item_is_blocked_moved_or_pinned(client: Client, known: str) -> None:
    plain = client.rank(known, CANDIDATES)
    best, *_, last = [each.item.item_id for each in plain.items]
    with reviewed(client, block(item_id=best, shopper_id=known)):
        ranked = client.rank(known, CANDIDATES).items[-1]
        assert (ranked.item.item_id, ranked.reviewed_by) == (best, "ana")
        assert best not in [each.item.item_id for each in client.recommend(known, k=100).items]
        shelf = client.get_shelf(known, ShelfKind.SIMILAR_ITEMS, ["wool-rug-red"], k=100)
        assert best not in [each.item.item_id for each in shelf.items]
    moved = Review(ReviewTarget(item_id=last, shopper_id=known), ReviewAction.CORRECT, 20.0, "bo")
    with reviewed(client, moved):
        ranked = client.rank(known, CANDIDATES).items[0]
        assert (ranked.item.item_id, ranked.reviewed_by) == (last, "bo")
        shown = client.explain_recommendation(known, last).ranked_item
        assert shown.reviewed_by == "bo"
        assert shown.score == pytest.approx(plain.items[-1].score, abs=1e-5)
        assert next(each for each in client.recommend(known, k=100).items if each.reviewed_by).item.item_id == last
    with reviewed(client, Review(ReviewTarget(item_id="gift-card", shopper_id=known), ReviewAction.PIN, 2.0, "cy")):
        second = client.recommend(known, k=5).items[1]
        assert (second.item.item_id, second.reviewed_by, second.rules) == ("gift-card", "cy", ())
        assert client.rank(known, [*CANDIDATES, "gift-card"]).items[1].item.item_id == "gift-card"
    assert client.rank(known, CANDIDATES) == plain


def test_reviews_for_all_and_for_segments_hold_for_whom_they_are(client: Client, known: str) -> None:
    client.record_events([(f"{known}-cook", EVENTS[2])])
    everybody = (known, f"{known}-cook", "nobody", EVENTS[:1])

    def blocked_for() -> list[bool]:
        responses = [client.rank(each, CANDIDATES, as_of=NOW) for each in everybody]
        return [found.items[-1].reviewed_by == "ana" for found in responses]

    assert blocked_for() == [False] * 4
    with reviewed(client, block(item_id="wool-rug-blue", all_shoppers=True)):
        assert blocked_for() == [True] * 4
        own = Review(ReviewTarget(item_id="wool-rug-blue", shopper_id=known), ReviewAction.PIN, 1.0, "bo")
        with reviewed(client, own):  # that for the shopper counts before that for all
            first = client.rank(known, CANDIDATES, as_of=NOW).items[0]
            assert (first.item.item_id, first.reviewed_by) == ("wool-rug-blue", "bo")
        assert blocked_for() == [True] * 4
    with reviewed(client, block(item_id="wool-rug-blue", segment=ReviewSegment(("Home", "Lamps")))):
        assert blocked_for() == [True, False, False, True]
    assert blocked_for() == [False] * 4


def test_without_consent_only_reviews_for_all_hold(client: Client, known: str) -> None:
    client.set_consents(known, [Consent(Purpose.PERSONALISATION, granted=False)])
    with reviewed(client, block(item_id="wool-rug-blue", shopper_id=known)):
        assert client.rank(known, CANDIDATES).reviewed_by == ()
        with reviewed(client, block(item_id="wool-rug-blue", all_shoppers=True)):
            assert client.rank(known, CANDIDATES).reviewed_by == ("ana",)


def test_reviews_of_linked_ids_hold_for_each(client: Client, known: str) -> None:
    client.link_shoppers(known, f"{known}-web", source="login")
    with reviewed(client, block(item_id="wool-rug-blue", shopper_id=f"{known}-web")):
        assert client.rank(known, CANDIDATES).reviewed_by == ("ana",)
        [part] = client.list_reviews(known)
        assert [each.target.shopper_id for each in part] == [f"{known}-web"]


@pytest.mark.parametrize(
    ("review", "field"),
    [
        (Review(ReviewTarget(rule="hero", all_shoppers=True), ReviewAction.PIN, 1.0, "ana"), "review.action"),
        (Review(ReviewTarget(trait="t", all_shoppers=True), ReviewAction.PIN, None, "ana"), "review.value"),
        (Review(ReviewTarget(trait="t", all_shoppers=True), ReviewAction.CORRECT, 1.5, "ana"), "review.value"),
        (Review(ReviewTarget(trait="t", all_shoppers=True), ReviewAction.BLOCK, 0.5, "ana"), "review.value"),
        (Review(ReviewTarget(item_id="i", all_shoppers=True), ReviewAction.PIN, 1.5, "ana"), "review.value"),
        (Review(ReviewTarget(trait="t", segment=ReviewSegment()), ReviewAction.BLOCK, None, "ana"),
         "review.target.segment"),
        (Review(ReviewTarget(trait="t", all_shoppers=True), ReviewAction.BLOCK), "review.reviewed_by"),
    ],
)  # fmt: skip
def test_a_review_that_can_not_be_is_refused(client: Client, review: Review, field: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        client.set_review(review)
    assert [each.field for each in error.value.violations] == [field]


def test_reviews_from_the_command_line(gateway: RunningGateway, client: Client, known: str) -> None:
    target = ("--shopper", known, "--interest", "Home > Rugs", "--address", gateway.address)
    done = run_portrait("review", "set", *target, "--correct", "0.5", "--by", "ana", "--note", "a gift")
    assert (done.code, done.stdout) == (0, "kept\n"), done
    done = run_portrait("review", "list", "--shopper", known, "--json", "--address", gateway.address)
    [line] = done.stdout.splitlines()
    kept = json.loads(line)
    assert (kept["target"]["interest"], kept["action"], kept["value"]) == (["Home", "Rugs"], "correct", 0.5)
    assert "ana" in run_portrait("review", "list", "--address", gateway.address).stdout
    assert weights(client.get_profile(known))[RUGS] == 0.5
    done = run_portrait("review", "remove", *target)
    assert (done.code, done.stdout) == (0, "removed\n")
    assert list(client.list_reviews(known)) == []
    for wrong in (("--correct", "2"), ("--correct", "1", "--block"), ()):
        assert run_portrait("review", "set", *target, *wrong, "--by", "ana").code == 2
