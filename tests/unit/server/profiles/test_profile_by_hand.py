"""A profile of twelve events, field by field against numbers that were worked out by hand.

Half-lives are 5 and 10 days, λ is ½, κ is 2. The session's events are minutes old: their ages count as none, so that
numbers agree to one in a thousand.
"""

import math
from datetime import timedelta

import pytest
from support.example_shop import COFFEE, LAMPS, NOW, PANS, RUGS, TOOLS, find_item, make_release, past_event

from portrait.features.events import EventType
from portrait.features.generators import run_to_completion
from portrait.features.profiles.absence import AbsenceReason
from portrait.server.profiles.customer_value import ValueSegment, ValueTier
from portrait.server.profiles.profile import ModelOutputs, Profile, build_profile
from portrait.server.profiles.recent_queries import QueryOutcome
from portrait.server.profiles.session_intent import SessionStage

MINUTE = 1.0 / 1440.0
HISTORY = [
    past_event("e01", EventType.PURCHASE, "coffee", 40, price=10.0, quantity=1.0),
    past_event("e02", EventType.PURCHASE, "coffee", 30, price=8.0),
    past_event("e03", EventType.PURCHASE, "coffee", 20, price=10.0, quantity=2.0),
    past_event("e06", EventType.PURCHASE, "desk", 20, price=40.0),
    past_event("e04", EventType.PURCHASE, "coffee", 10, price=9.0),
    past_event("e05", EventType.RATE, "pan", 10, rating=1.0),
    past_event("e07", EventType.SEARCH, None, 10 * MINUTE, query="red lamp"),
    past_event("e08", EventType.VIEW, "desk", 8 * MINUTE, query="Red  lamp", dwell_seconds=60.0),
    past_event("e09", EventType.VIEW, "floor", 6 * MINUTE),
    past_event("e10", EventType.VIEW, "bed", 4 * MINUTE),
    past_event("e11", EventType.VIEW, "rug", 2 * MINUTE, dwell_seconds=1.0),
    past_event("e12", EventType.ADD_TO_CART, "bed", 0),
]
FIELDS = frozenset(
    {
        "interests", "keywords", "price_bands", "aversions", "brands", "discount_sensitivity", "session",
        "recent_queries", "purchase_cycles", "customer_value", "activity_pattern", "demographics", "summary",
    }
)  # fmt: skip


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-3)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return run_to_completion(build_profile(HISTORY, NOW, find_item, make_release(), FIELDS, ModelOutputs()))


def test_interests(profile: Profile) -> None:
    # Long: coffee 1/16 + 1/8 + 1/4 + 1/2 = 0.9375; lamps 1/4 + 3 · 0.3 + 0.7 = 1.85; together 2.7875. The rating of 1
    # and the rug that was left at once count nothing.
    # Short: coffee 2⁻⁸ + 2⁻⁶ + 2⁻⁴ + 2⁻² = 0.33203; lamps 2⁻⁴ + 1.6 = 1.6625; together 1.99453.
    # Parts: recent 0.5 / 3.99453 = 0.125171, steady 0.5 / 4.7875 = 0.104439.
    # Lamps: 0.125171 · 1.6625 + 0.104439 · 1.85 = 0.401309; coffee: 0.139472; together 0.540781.
    home, lamps, kitchen, coffee = (each for each in profile.interests if not each.inferred)
    assert [each.category_path for each in (home, lamps, kitchen, coffee)] == [("Home",), LAMPS, ("Kitchen",), COFFEE]
    assert (home.weight, lamps.weight, coffee.weight) == (near(0.742093), near(0.742093), near(0.257907))
    assert (lamps.short_term_weight, lamps.long_term_weight) == (near(1.6625 / 1.99453), near(1.85 / 2.7875))
    assert lamps.trend == near((0.742093 - 0.663677) / (0.742093 + 0.663677))
    assert (lamps.confidence, coffee.confidence) == (near(1.85 / 3.85), near(0.9375 / 2.9375))
    # 0.5 (1.6625 + 2 · 0.3) / 3.99453 + 0.5 (1.85 + 2 · 0.3) / 4.7875
    assert (lamps.next_event_probability, lamps.population_weight) == (near(0.539075), 0.3)
    assert lamps.evidence_event_ids == ("e12", "e10", "e09", "e08", "e06")
    assert (lamps.evidence_count, coffee.evidence_count) == (5, 4)
    assert lamps.expires_at == NOW + timedelta(days=5)


def test_inferred_interests(profile: Profile) -> None:
    # By the number of later moments: desk 0.2 (2⁻⁶ + 2⁻⁴), coffee 0.1 (2⁻⁸ + 2⁻⁷ + 2⁻⁶ + 2⁻⁵); σ(log s) = s / (1 + s).
    s = 0.2 * (2**-6 + 2**-4) + 0.1 * (2**-8 + 2**-7 + 2**-6 + 2**-5)
    [tools] = [each for each in profile.interests if each.inferred]
    assert (tools.category_path, tools.weight) == (TOOLS, 0.0)
    assert tools.next_event_probability == tools.confidence == pytest.approx(s / (1 + s))
    assert tools.lift == pytest.approx(s / (1 + s) / 0.005)
    assert tools.evidence_event_ids == ("e08", "e04", "e06", "e03", "e02", "e01")


def test_keywords(profile: Profile) -> None:
    # lamp: (0.25 + 0.5 + 3 · 0.3 + 0.7) ln 10; coffee: 0.9375 ln 100; red: (0.5 + 0.3) ln 5.
    found = {each.word.lower(): each for each in profile.keywords}
    lamp = 2.35 * math.log(10)
    assert [each.word.lower() for each in profile.keywords][:2] == ["lamp", "coffee"]
    assert found["coffee"].weight == near(0.9375 * math.log(100) / lamp)
    assert found["red"].weight == near(0.8 * math.log(5) / lamp)
    assert found["lamp"].confidence == near(2.35 / 4.35)
    assert found["red"].evidence_event_ids == ("e08", "e07")
    assert "acme" not in found  # every text has it


def test_price_bands(profile: Profile) -> None:
    # 8, 9, 10, 10; ten of 21 quantiles lie below 9.5.
    [coffee] = profile.price_bands
    assert (coffee.category_path, coffee.event_count) == (COFFEE, 4)
    assert (coffee.low, coffee.median, coffee.high) == (8.75, 9.5, 10.0)
    assert coffee.percentile == pytest.approx(20 / 42)
    assert coffee.confidence == pytest.approx(1 - 0.98 / 2)
    assert coffee.evidence_event_ids == ("e04", "e03", "e02", "e01")


def test_aversions(profile: Profile) -> None:
    # The pan: 1 · ½; the rug: 0.3 · 1. Of Kitchen they are 0.5 of 1.4375, of Home 0.3 of 2.15: no aversions.
    pans, rugs = profile.aversions
    assert (pans.category_path, pans.weight, pans.confidence) == (PANS, 1.0, near(0.5 / 2.5))
    assert (rugs.category_path, rugs.weight, rugs.confidence) == (RUGS, 1.0, near(0.3 / 2.3))
    assert (pans.evidence_event_ids, rugs.evidence_event_ids) == (("e05",), ("e11",))


def test_brands(profile: Profile) -> None:
    # Acme: 1/4 + 0.3 + 0.3 + 0.7 = 1.55 of 1.85, 0.2 · 1.85 = 0.37 expected. Norden: 0.3 where 1.48 are expected.
    [acme] = profile.brands
    assert (acme.brand, acme.lift, acme.share) == ("Acme", near(2.55 / 1.37), near(1.55 / 1.85))
    assert acme.confidence == pytest.approx(0.754, abs=0.01)  # mass above 1 of a gamma of shape 2.55, rate 1.37
    assert acme.evidence_event_ids == ("e12", "e10", "e08", "e06")


def test_discount_sensitivity(profile: Profile) -> None:
    # 20% and 10% off, three at the usual price; 0.4 is the ninth of 21 quantiles.
    found = profile.discount_sensitivity
    assert found is not None
    assert (found.discounted_share, found.purchase_count) == (0.4, 5)
    assert found.mean_discount == pytest.approx(0.15)
    assert found.percentile == pytest.approx(17 / 42, abs=1 / 42)
    assert found.confidence == near(1 - 0.325830)
    assert found.evidence_event_ids == ("e02", "e04")


def test_session(profile: Profile) -> None:
    # Lamps 3 · 0.3 + 0.7 = 1.6, the rug 0.3; entropy 0.436163 of ln 5.
    session = profile.session
    assert session is not None
    assert (session.stage, session.active, session.event_count) == (SessionStage.CART, True, 6)
    assert [(each.category_path, each.share) for each in session.categories] == [
        (LAMPS, near(1.6 / 1.9)),
        (RUGS, near(0.3 / 1.9)),
    ]
    assert session.queries == ("red lamp",)
    assert session.confidence == near(1 - 0.436163 / math.log(5))
    assert session.evidence_event_ids == ("e12", "e11", "e10", "e09", "e08", "e07")
    assert (session.started_at, session.expires_at) == (NOW - timedelta(minutes=10), NOW + timedelta(minutes=30))


def test_recent_queries(profile: Profile) -> None:
    [asked] = profile.recent_queries
    assert (asked.query, asked.count, asked.outcome, asked.category_path) == ("Red lamp", 1, QueryOutcome.VIEWED, LAMPS)
    assert asked.confidence == near(1.0)
    assert asked.evidence_event_ids == ("e08", "e07")


def test_purchase_cycles(profile: Profile) -> None:
    # Three intervals of 10 days, and the category's 20 counting as one: exp((3 ln 10 + ln 20) / 4) = 11.892 days,
    # spread 0.5 √(1 + 1/4), return rate (3 + 2 · 0.8) / 5 = 0.92; 10 days have gone by.
    # F(10) = Φ(-0.309985) = 0.378286, F(40) = Φ(2.169893) = 0.984994.
    [coffee] = profile.purchase_cycles
    assert (coffee.category_path, coffee.purchase_count, coffee.horizon_days) == (COFFEE, 4, 30.0)
    assert coffee.interval_days == near(11.892)
    assert coffee.due_at == coffee.last_time + timedelta(days=coffee.interval_days)
    assert coffee.due_probability == near(0.92 * (0.984994 - 0.378286) / (1 - 0.92 * 0.378286))
    assert coffee.earliest_due_at < coffee.due_at < coffee.latest_due_at
    assert coffee.evidence_event_ids == ("e04", "e03", "e02", "e01")


def test_value(profile: Profile) -> None:
    # Bought on 4 days, 10 + 8 + 20 + 40 + 9 = 87 spent, the last 10 days ago.
    found = profile.customer_value
    assert found is not None
    assert (found.recency_days, found.frequency, found.monetary) == (10.0, 4, 87.0)
    assert (found.recency_score, found.frequency_score, found.monetary_score) == (4, 4, 3)
    assert (found.tier, found.segment) == (ValueTier.HIGH, ValueSegment.LOYAL)
    assert found.confidence == pytest.approx(40 / 90)
    assert found.evidence_event_ids == ("e06", "e03", "e01", "e04", "e02")
    assert found.expires_at == NOW + timedelta(days=10)


def test_what_is_absent_says_why(profile: Profile) -> None:
    assert {name: absence.reason for name, absence in profile.absent.items()} == {
        "activity_pattern": AbsenceReason.TOO_LITTLE_EVIDENCE,
        "demographics": AbsenceReason.NO_CONSENT,
    }
    assert profile.absent["activity_pattern"].explanation == "too few days with events: 5, and at least 8 are needed"


def test_the_summary_says_what_the_fields_say(profile: Profile) -> None:
    english = {each.field: each.english for each in profile.summary}
    about = "Home › Lamps and Home › Rugs, after “red lamp” (1 May 2026)."
    assert english["session"] == f"Is in a session and has filled the cart; the visit is to {about}"
    assert english["customer_value"] == (
        "Of high value, loyal: bought on 4 days of the last 90, 87.00 spent; the last purchase was 10 days ago."
    )
    assert (
        english["purchase_cycles"] == "Likely to buy again within 30 days: Kitchen › Coffee (86%; about every 12 days)."
    )
    assert english["recent_queries"] == "Asked for “Red lamp” without buying."
    aversions = [each.english for each in profile.summary if each.field == "aversions"]
    assert aversions == ["Was let down by Kitchen › Pans.", "May not like Home › Rugs."]  # a rating, and a glance
    assert english["keywords"] == "Words of note: Desk, Floor, red, Bed."
    assert "brands" not in english  # not sure enough
    interests = [each for each in profile.summary if each.field == "interests"]
    assert [each.english for each in interests] == [
        "Cares most for Home › Lamps (74%) and Kitchen › Coffee (26%).",
        "Has not met, but is likelier than others to want next: Garden › Tools (4×).",
    ]
    assert interests[0].chinese == "最关注Home › Lamps (74%)、Kitchen › Coffee (26%)。"
    known = {event.event_id for event in HISTORY}
    for each in profile.summary:
        assert each.evidence_event_ids
        assert set(each.evidence_event_ids) <= known
        assert len(each.chinese) > 0
