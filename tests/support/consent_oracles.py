"""Oracles of the methods that read about shoppers: what each may answer, given what is held and allowed.

Three rules stand behind them. What is made of events needs the purpose `personalisation`, membership in an audience
`advertising` as well, declared demographics `demographics`; each under all linked ids. What only shows what is kept
needs no consent, and shows exactly that. A method that is in neither table has no oracle, and the test fails.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from portrait.client import Purpose
from portrait.v1 import (
    audience_service_pb2,
    consent_service_pb2,
    event_service_pb2,
    explanation_service_pb2,
    identity_service_pb2,
    profile_service_pb2,
    recommendation_service_pb2,
    review_service_pb2,
    shelf_pb2,
    shopper_pb2,
)
from support.shopper_model import ITEMS, NOW, Held

Call = Callable[[Message], list[Any]]
"""Calls one method; returns its responses, of which a stream has several. Raises grpc.RpcError."""
Oracle = Callable[[Call, Held, str], None]

STRANGER = "stranger"
"""Nobody has done anything under this id."""
_OF_NOBODY = {"shopper_id", "release", "as_of", "computed_at", "degraded", "absent"}
"""Fields of a profile that say nothing of a shopper. Each other field needs a purpose, also one that is new."""
_AS_OF = Timestamp()
_AS_OF.FromDatetime(NOW)


def refer_to(shopper_id: str) -> shopper_pb2.ShopperRef:
    """Name a shopper."""
    return shopper_pb2.ShopperRef(shopper_id=shopper_id)


def is_personal(held: Held, shopper_id: str) -> bool:
    """Tell whether there are events of a shopper that may be used."""
    return bool(held.list_events(shopper_id)) and held.allows(shopper_id, Purpose.PERSONALISATION)


def find_refusal(call: Call, request: Message) -> str:
    """Return the reason of a refusal; empty if the call is answered."""
    try:
        call(request)
    except grpc.RpcError as error:
        return str(error.code().name)  # type: ignore[attr-defined] # a call is what is raised
    return ""


def list_values(message: Message, names: Collection[str]) -> Iterator[str]:
    """Yield the values of all fields of a message, at any depth, that have one of some names."""
    for descriptor, value in message.ListFields():
        for each in value if descriptor.is_repeated else [value]:
            if isinstance(each, Message):
                yield from list_values(each, names)
            elif descriptor.name in names:
                yield each


def list_event_ids(message: Message) -> Iterator[str]:
    """Yield the values of all fields of a message, at any depth, that name events."""
    return list_values(message, {"event_id", "event_ids", "evidence_event_ids"})


def require_known_reviewers(response: Message, held: Held, shopper_id: str) -> None:
    """Require that a response names nobody but who reviewed something for the shopper, and only with consent."""
    named = {*list_values(response, {"reviewed_by"})}
    known = held.list_reviewers(shopper_id) if held.allows(shopper_id, Purpose.PERSONALISATION) else []
    assert named <= {*known}


def check_profile(profile: Any, held: Held, shopper_id: str) -> None:
    """Check each field of a profile."""
    require_known_reviewers(profile, held, shopper_id)
    set_fields = {descriptor.name for descriptor, _ in profile.ListFields()} - _OF_NOBODY - {"demographics"}
    if held.allows(shopper_id, Purpose.PERSONALISATION):
        assert profile.event_count == len(held.list_events(shopper_id))
        assert {*list_event_ids(profile)} <= {event for _, event in held.list_events(shopper_id)}
    else:
        assert set_fields == set()
    shown = profile.demographics.region if profile.HasField("demographics") else None
    assert shown == (held.find_region(shopper_id) if held.allows(shopper_id, Purpose.DEMOGRAPHICS) else None)


def get_profile(call: Call, held: Held, shopper_id: str) -> None:
    request = profile_service_pb2.GetProfileRequest(shopper=refer_to(shopper_id))
    if held.allows(shopper_id, Purpose.PERSONALISATION) and not held.list_events(shopper_id):
        assert find_refusal(call, request) == "NOT_FOUND"
        return
    [response] = call(request)
    check_profile(response.profile, held, shopper_id)


def batch_get_profiles(call: Call, held: Held, shopper_id: str) -> None:
    [response] = call(profile_service_pb2.BatchGetProfilesRequest(shoppers=[*map(refer_to, held.ids)]))
    for each, result in zip(held.ids, response.results, strict=True):
        if held.allows(each, Purpose.PERSONALISATION) and not held.list_events(each):
            assert result.WhichOneof("result") == "error"
        else:
            check_profile(result.profile, held, each)


def compare_with_stranger(call: Call, request: Any, held: Held, shopper_id: str) -> None:
    """Check that a response is personal only if it may be, and otherwise what everybody gets."""
    request.shopper.shopper_id = shopper_id
    [response] = call(request)
    require_known_reviewers(response, held, shopper_id)
    if is_personal(held, shopper_id):
        assert response.event_count == len(held.list_events(shopper_id))
        assert {*list_event_ids(response)} <= {event for _, event in held.list_events(shopper_id)}
        return
    if held.list_reviewers(shopper_id) and held.allows(shopper_id, Purpose.PERSONALISATION):
        assert response.event_count == 0  # an item has a place of its own, and that is all
        return
    request.shopper.shopper_id = STRANGER
    [of_stranger] = call(request)
    assert response == of_stranger
    assert response.event_count == 0


def recommend(call: Call, held: Held, shopper_id: str) -> None:
    for exclude_seen in (False, True):
        request = recommendation_service_pb2.RecommendRequest(as_of=_AS_OF, exclude_seen=exclude_seen)
        compare_with_stranger(call, request, held, shopper_id)


def rank(call: Call, held: Held, shopper_id: str) -> None:
    candidates = [recommendation_service_pb2.RankCandidate(item={"item_id": each}) for each in ITEMS]
    request = recommendation_service_pb2.RankRequest(as_of=_AS_OF, candidates=candidates)
    compare_with_stranger(call, request, held, shopper_id)


def get_shelf(call: Call, held: Held, shopper_id: str) -> None:
    for kind in (shelf_pb2.SHELF_KIND_RECENTLY_VIEWED, shelf_pb2.SHELF_KIND_BUY_AGAIN, shelf_pb2.SHELF_KIND_TRENDING):
        request = recommendation_service_pb2.GetShelfRequest(as_of=_AS_OF, kind=kind)
        compare_with_stranger(call, request, held, shopper_id)


def explain_recommendation(call: Call, held: Held, shopper_id: str) -> None:
    request = explanation_service_pb2.ExplainRecommendationRequest(as_of=_AS_OF, item_id=ITEMS[0])
    compare_with_stranger(call, request, held, shopper_id)


def explain_profile(call: Call, held: Held, shopper_id: str) -> None:
    request = explanation_service_pb2.ExplainProfileRequest(shopper=refer_to(shopper_id), as_of=_AS_OF)
    if is_personal(held, shopper_id):
        [response] = call(request)
        assert response.event_count == len(held.list_events(shopper_id))
        assert {*list_event_ids(response)} <= {event for _, event in held.list_events(shopper_id)}
    else:
        allowed = held.allows(shopper_id, Purpose.PERSONALISATION)
        assert find_refusal(call, request) == ("NOT_FOUND" if allowed else "FAILED_PRECONDITION")


def list_eligible(held: Held, *purposes: Purpose) -> set[str]:
    """List the ids that an audience may have: of the table, as they were when it was built."""
    needed = (Purpose.PERSONALISATION, Purpose.ADVERTISING, *purposes)
    there = [each for each in held.ids if held.in_table and each not in held.changed]
    return {each for each in there if all(held.allows(each, purpose) for purpose in needed)}


def find_audience(call: Call, held: Held, shopper_id: str) -> None:
    declared = {each for each in list_eligible(held, Purpose.DEMOGRAPHICS) if held.find_region(each)}
    for audience, wanted in (
        (_audience(activity={}), list_eligible(held)),
        (_audience(region={"regions": held.region_names}), declared),
    ):
        pages = call(audience_service_pb2.FindAudienceRequest(audience=audience))
        assert {member.shopper_id for page in pages for member in page.members} & {*held.ids} == wanted


def estimate_audience(call: Call, held: Held, shopper_id: str) -> None:
    """Check the number of those who declared a region that nobody else did."""
    declared = {each for each in list_eligible(held, Purpose.DEMOGRAPHICS) if held.find_region(each)}
    audience = _audience(region={"regions": held.region_names})
    [response] = call(audience_service_pb2.EstimateAudienceRequest(audience=audience))
    assert response.summary.estimated_size == len(declared)


def _audience(**criterion: Any) -> audience_service_pb2.Audience:
    return audience_service_pb2.Audience(criteria=[audience_service_pb2.Criterion(**criterion)])


def get_consents(call: Call, held: Held, shopper_id: str) -> None:
    [response] = call(consent_service_pb2.GetConsentsRequest(shopper_id=shopper_id))
    purposes = {consent_service_pb2.Purpose.Value(f"PURPOSE_{each.name}"): each for each in Purpose}
    told = {purposes[each.purpose]: each.allowed for each in response.permissions}
    assert told == {purpose: held.allows(shopper_id, purpose) for purpose in Purpose}
    granted = consent_service_pb2.CONSENT_DECISION_GRANTED
    records = [(purposes[each.consent.purpose], each.consent.decision == granted) for each in response.records]
    assert records == held.records.get(shopper_id, [])


def get_identity(call: Call, held: Held, shopper_id: str) -> None:
    [response] = call(identity_service_pb2.GetIdentityRequest(shopper_id=shopper_id))
    identity = response.identity
    assert [identity.shopper_id, *(link.anonymous_id for link in identity.links)] == held.identity(shopper_id)
    expected = (held.household_id, identity.shopper_id) if identity.shopper_id in held.members else ("", "")
    assert (identity.household.household_id, identity.household.shopper_id) == expected


def get_household(call: Call, held: Held, shopper_id: str) -> None:
    [response] = call(identity_service_pb2.GetHouseholdRequest(household_id=held.household_id))
    assert [each.shopper_id for each in response.members] == sorted(held.members)


def export_shopper(call: Call, held: Held, shopper_id: str) -> None:
    parts = call(consent_service_pb2.ExportShopperRequest(shopper_id=shopper_id))
    events = {(part.shopper_id, event.event_id) for part in parts for event in part.events}
    assert events == {*held.list_events(shopper_id)}
    assert {each.reviewed_by for part in parts for each in part.reviews} == {*held.list_reviewers(shopper_id)}
    regions = {part.shopper_id: part.demographics.region for part in parts if part.HasField("demographics")}
    assert regions == {each: held.regions[each] for each in held.identity(shopper_id) if each in held.regions}
    members = {part.household.shopper_id for part in parts if part.HasField("household")}
    assert members == held.members & {*held.identity(shopper_id)}
    for each in held.identity(shopper_id):
        records = sum(len(part.consents) for part in parts if part.shopper_id == each)
        assert records == len(held.records.get(each, []))


def list_reviews(call: Call, held: Held, shopper_id: str) -> None:
    parts = call(review_service_pb2.ListReviewsRequest(shopper_id=shopper_id))
    listed = [(each.target.shopper_id, each.reviewed_by) for part in parts for each in part.reviews]
    assert sorted(listed) == sorted(
        (each, held.reviewers[each]) for each in held.identity(shopper_id) if each in held.reviewers
    )


def list_review_queue(call: Call, held: Held, shopper_id: str) -> None:
    """Check that nobody is named."""
    [response] = call(review_service_pb2.ListReviewQueueRequest())
    assert not [each for each in held.ids if each in str(response)]


def list_events(call: Call, held: Held, shopper_id: str) -> None:
    [response] = call(event_service_pb2.ListEventsRequest(shopper_id=shopper_id))
    events = [(each.shopper_id, each.event.event_id) for each in response.events]
    assert sorted(events) == sorted(held.list_events(shopper_id))


ORACLES: dict[str, Oracle] = {
    "ProfileService/GetProfile": get_profile,
    "ProfileService/BatchGetProfiles": batch_get_profiles,
    "RecommendationService/Recommend": recommend,
    "RecommendationService/Rank": rank,
    "RecommendationService/GetShelf": get_shelf,
    "ExplanationService/ExplainRecommendation": explain_recommendation,
    "ExplanationService/ExplainProfile": explain_profile,
    "AudienceService/FindAudience": find_audience,
    "AudienceService/EstimateAudience": estimate_audience,
    "ConsentService/GetConsents": get_consents,
    "ConsentService/ExportShopper": export_shopper,
    "IdentityService/GetIdentity": get_identity,
    "IdentityService/GetHousehold": get_household,
    "EventService/ListEvents": list_events,
    "ReviewService/ListReviews": list_reviews,
    "ReviewService/ListReviewQueue": list_review_queue,
}
"""By service and method: those that read about shoppers."""
NOT_READING = {
    "EventService/RecordEvents", "ConsentService/SetConsents", "ConsentService/SetDemographics",
    "ConsentService/ForgetShopper", "IdentityService/LinkShoppers", "IdentityService/UnlinkShoppers",
    "IdentityService/JoinHousehold", "IdentityService/LeaveHousehold",
    "CatalogueService/GetItem", "CatalogueService/UpsertItems", "CatalogueService/DeleteItems",
    "TextService/EncodeTexts", "TextService/EncodeTextStream",
    "ReviewService/SetReview", "ReviewService/RemoveReview",
}  # fmt: skip
"""Those that write, and those about items and texts."""
