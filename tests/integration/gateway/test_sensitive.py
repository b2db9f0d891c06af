"""Sensitive topics through a real gateway: profiles, explanations, audiences and rankings do not tell them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.audience_tables import build_audience_table
from support.command_line import run_portrait
from support.files import replace_text
from support.gateway import RunningGateway, run_gateway
from support.scrape import read_metrics

from portrait.client import (
    ActivityCriterion,
    Client,
    Consent,
    Event,
    EventType,
    FailedPreconditionError,
    InterestCriterion,
    Item,
    LookAlike,
    NotFoundError,
    Purpose,
    Review,
    ReviewAction,
    ReviewSegment,
    ReviewTarget,
)

NOW = datetime.now(UTC).replace(microsecond=0)
KIT = Item("kit-1", "Early detection kit", category_path=("Health", "Pregnancy Tests"), brand="Acme", price=9.0)
WINE = Item("bottle-1", "Pinot noir", category_path=("Drinks", "Wine"), brand="Zhen", price=12.0)
SHOPPERS = 6
OPTIONS = ("--min-audience-size", "5", "--consent-advertising", "unless-withdrawn")
SECRETS = (KIT.item_id, KIT.title, "Pregnan", "maternity", "Health", WINE.item_id, WINE.title, "Drinks", "secret-")
TOPICS = "topics.toml"
ALLOWING = """
[allow]
health = ["profile", "explanation"]
pregnancy = ["profile", "explanation"]
[topics.gardening]
words = ["spade"]
"""


def list_events(*, with_secrets: bool) -> list[Event]:
    """Purchases of lamps and, if wanted, events of sensitive topics among them."""
    lamps = [
        Event(EventType.PURCHASE, f"lamp-{nth}", NOW - timedelta(days=9 - 2 * nth), f"desk-lamp-{colour}", price=10.0)
        for nth, colour in enumerate(("red", "blue", "green", "black"))
    ]
    lamps.append(Event(EventType.SEARCH, "search", NOW - timedelta(hours=30), query="bedside lamp"))
    secrets = [
        Event(EventType.PURCHASE, f"secret-{nth}", NOW - timedelta(days=8 - nth), item, price=9.0)
        for nth, item in enumerate((KIT.item_id, WINE.item_id, KIT.item_id))
    ]
    secrets.append(Event(EventType.SEARCH, "secret-search", NOW - timedelta(hours=20), query="Maternity jeans"))
    secrets.append(Event(EventType.VIEW, "secret-view", NOW - timedelta(hours=1), "floor-lamp-red", query="孕妇装"))
    return [*lamps, *secrets] if with_secrets else lamps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sensitive")


@pytest.fixture(scope="module")
def gateway(repository: Path, folder: Path) -> Iterator[RunningGateway]:
    topics = folder / TOPICS
    topics.touch()  # the topics that come with Portrait, and nothing allowed
    with run_gateway(repository, folder, *OPTIONS, "--sensitive", str(topics)) as served:
        with Client(served.address) as client:
            client.upsert_items([KIT, WINE])
            for kind in ("open", "secretive"):
                events = list_events(with_secrets=kind == "secretive")
                client.record_events((f"{kind}-{nth}", event) for nth in range(SHOPPERS) for event in events)
            rug = Event(EventType.PURCHASE, "rug", NOW - timedelta(days=1), "wool-rug-blue", price=5.0)
            client.record_events((f"other-{nth}", rug) for nth in range(SHOPPERS))
        build_audience_table(served)
        yield served
        assert "internal_error" not in {line["event"] for line in served.logged}, served.log_text


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


def test_a_profile_is_the_one_without_the_sensitive_events(client: Client) -> None:
    told, expected = (client.get_profile(f"{kind}-0", fields=FIELDS, as_of=NOW) for kind in ("secretive", "open"))
    assert describe(told) == describe(expected)
    assert "Lamps" in describe(told)
    assert not [secret for secret in SECRETS if secret.casefold() in describe(told).casefold()]


FIELDS = (
    "interests", "keywords", "price_bands", "aversions", "brands", "discount_sensitivity", "session", "recent_queries",
    "purchase_cycles", "customer_value", "activity_pattern", "summary", "traits", "embedding", "event_count",
    "first_event_time", "last_event_time",
)  # fmt: skip


def describe(profile: object) -> str:
    """Write all that a profile says, but not whose it is and when it was computed."""
    return "\n".join(f"{name}: {getattr(profile, name)!r}" for name in (*FIELDS, "absent"))


def test_a_label_and_a_criterion_of_a_sensitive_topic_are_refused(client: Client) -> None:
    with pytest.raises(FailedPreconditionError, match="pregnancy"):
        client.get_profile("open-0", labels=["gardens", "pregnant women"])
    with pytest.raises(FailedPreconditionError, match="pregnancy"):
        client.estimate_audience([InterestCriterion([KIT.category_path])])
    with pytest.raises(FailedPreconditionError, match="health"):
        client.estimate_audience([InterestCriterion(labels=["people with diabetes"])])
    with pytest.raises(FailedPreconditionError, match="alcohol"):
        client.estimate_audience([InterestCriterion([WINE.category_path])])
    assert client.get_profile("open-0", labels=["gardens"]).label_interests[0].label == "gardens"


def test_an_explanation_names_no_sensitive_event(client: Client) -> None:
    for explained in (
        client.explain_profile("secretive-0"),
        client.explain_profile("secretive-0", interest=["Home", "Lamps"]),
        client.explain_recommendation("secretive-0", "desk-lamp-red"),
    ):
        assert explained.events
        assert {each.event_id for each in explained.events} == {
            each.event_id for each in list_events(with_secrets=False)
        }
        assert not [each for each in explained.items if each.subject in (KIT.title, WINE.title)]
    for path in (KIT.category_path, KIT.category_path[:1], WINE.category_path):
        with pytest.raises(NotFoundError):
            client.explain_profile("secretive-0", interest=path)
    with pytest.raises(FailedPreconditionError, match="pregnancy"):
        client.explain_recommendation("secretive-0", KIT.item_id)


def test_a_review_for_a_segment_of_a_sensitive_category_tells_nobody_who_is_in_it(client: Client) -> None:
    target = ReviewTarget(item_id="desk-lamp-red", segment=ReviewSegment(KIT.category_path))
    client.set_review(Review(target, ReviewAction.PIN, 3.0, "ana"))
    try:
        assert client.explain_recommendation("secretive-0", "desk-lamp-red").ranked_item.reviewed_by == ""
        assert client.recommend("secretive-0").reviewed_by == client.recommend("open-0").reviewed_by == ()
        assert client.get_profile("secretive-0").reviewed_by == ()
    finally:
        client.remove_review(target)


def test_audiences_and_look_alikes_use_no_sensitive_event(client: Client) -> None:
    lamps = InterestCriterion([("Home", "Lamps")], 0.99)
    everybody = [ActivityCriterion(since=NOW - timedelta(days=300))]
    [page] = client.find_audience([lamps])
    assert {each.shopper_id for each in page.members} == {
        f"{kind}-{nth}" for kind in ("open", "secretive") for nth in range(SHOPPERS)
    }
    seed = LookAlike([f"open-{nth}" for nth in range(SHOPPERS)], min_similarity=-1.0)
    [page] = client.find_audience(everybody, look_alike=seed)
    likeness = {each.shopper_id: each.similarity for each in page.members}
    assert likeness["secretive-0"] == pytest.approx(1.0, abs=0.01)  # as the twin without such events
    assert likeness["other-0"] < likeness["secretive-0"] - 0.1


def test_a_ranking_uses_no_sensitive_event(client: Client) -> None:
    told, expected = (client.recommend(f"{kind}-0", k=60, as_of=NOW) for kind in ("secretive", "open"))
    assert told == expected
    ranked = client.rank("secretive-0", ["wool-rug-red", KIT.item_id, "desk-lamp-red"], as_of=NOW)
    assert ranked.items == client.rank("open-0", ["wool-rug-red", KIT.item_id, "desk-lamp-red"], as_of=NOW).items
    unseen = client.recommend("secretive-0", k=60, exclude_seen=True)
    assert KIT.item_id not in [each.item.item_id for each in unseen.items]


def test_an_aged_item_is_shown_to_whom_declared_the_age(client: Client) -> None:
    def is_shown(shopper: str) -> bool:
        return WINE.item_id in [each.item.item_id for each in client.recommend(shopper, query="pinot noir", k=60).items]

    assert not is_shown("nobody")
    assert KIT.item_id in [each.item.item_id for each in client.recommend("nobody", k=60).items]
    client.set_consents("of-age", [Consent(Purpose.DEMOGRAPHICS, granted=True)])
    client.record_events([("of-age", each) for each in list_events(with_secrets=True)])
    for age, shown in ((17, False), (18, True)):
        client.set_demographics("of-age", age=age)
        assert is_shown("of-age") is shown
        interests = client.get_profile("of-age", fields=["interests"]).interests
        assert (("Drinks", "Wine") in [tuple(each.category_path) for each in interests]) is shown
    client.set_consents("of-age", [Consent(Purpose.DEMOGRAPHICS, granted=False)])
    assert not is_shown("of-age")


def test_what_the_operator_allows_is_told_and_nothing_else(
    gateway: RunningGateway, folder: Path, client: Client
) -> None:
    path = folder / TOPICS
    history = [Event(EventType.VIEW, item_id="garden-spade-red"), Event(EventType.VIEW, item_id="desk-lamp-red")]

    def list_interests() -> list[tuple[str, ...]]:
        return [tuple(each.category_path) for each in client.get_profile("secretive-0").interests]

    assert KIT.category_path not in list_interests()
    assert client.get_profile(history).event_count == 2
    try:
        # A change is followed, also by responses that were kept.
        replace_text(path, ALLOWING)
        assert gateway.lines("topics_judged", 2)[1]["items"] == {"gardening": 4}
        gateway.lines("sensitive_reloaded")
        assert KIT.category_path in list_interests()
        assert WINE.category_path not in list_interests()
        assert client.explain_profile("secretive-0", interest=KIT.category_path).weight > 0.0
        with pytest.raises(FailedPreconditionError, match="other sensitive topics"):
            client.estimate_audience([ActivityCriterion(since=NOW - timedelta(days=300))])
        assert client.get_profile(history).event_count == 1
        replace_text(path, ALLOWING.replace('pregnancy = ["profile"', 'pregnancy = ["audience"'))
        gateway.lines("topics_judged", 3)
        gateway.lines("sensitive_reloaded", 2)
        assert KIT.category_path not in list_interests()
        # A file that can't be used changes nothing.
        replace_text(path, "topics = 3")
        assert "topics" in gateway.line("sensitive_reload_failed")["reason"]
        assert client.get_profile(history).event_count == 1
        shown = read_metrics(gateway)
        assert shown['portrait_file_reloads_total{file="sensitive"}'] == 2
        assert shown['portrait_file_invalid{file="sensitive"}'] == 1
    finally:
        replace_text(path, "")
        gateway.lines("topics_judged", 4)


def test_a_check_tells_what_finds_items(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "topics.toml"
    gardening = '[topics.gardening]\nwords = ["spade"]\ncategories = ["Lamps"]\n[allow]\ngardening = ["profile"]\n'
    path.write_text(f"extends = false\n{gardening}", encoding="utf-8")
    done = run_portrait("topics", "check", path, "--repository", repository, "--examples", 3)
    assert done.code == 0, done
    topic, category, *titles, more, end = (" ".join(line.split()) for line in done.stdout.splitlines())
    assert topic == "gardening: 17 items, withheld; allowed for profile"
    assert category == "category 13 Home > Lamps"
    assert sorted(titles)[0] == "title 1 Blue garden spade"
    assert (len(titles), more, end) == (3, "title and 1 more", "1 topics, 17 of 50 items of release 1")
    path.write_text(gardening.replace("gardening", "Gardening"), encoding="utf-8")
    done = run_portrait("topics", "check", path, "--repository", repository)
    assert (done.code, "topics.Gardening" in done.stderr) == (2, True)


def test_a_wrong_file_ends_the_start(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "topics.toml"
    path.write_text("[allow]\nhats = ['profile']", encoding="utf-8")
    done = run_portrait("serve", "--repository", repository, "--sensitive", path, "--state", tmp_path / "state.db")
    assert done.code == 1
    assert "allow names hats" in done.stderr
