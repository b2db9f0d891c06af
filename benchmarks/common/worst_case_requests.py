"""The most expensive legal request of every RPC: each field as large as the contract and the message size allow."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from portrait.server.rpc.contract.bounds import ListSize, MapSize, TextLength
from portrait.server.rpc.contract.limits import LIMITS
from portrait.server.storage.histories import MAX_HISTORY_EVENTS
from portrait.v1 import (
    audience_service_pb2,
    catalogue_service_pb2,
    consent_service_pb2,
    event_pb2,
    event_service_pb2,
    explanation_service_pb2,
    identity_service_pb2,
    item_pb2,
    profile_pb2,
    profile_service_pb2,
    recommendation_service_pb2,
    review_pb2,
    review_service_pb2,
    shelf_pb2,
    shopper_pb2,
    text_service_pb2,
)

MESSAGE_BYTES = 7_900_000
"""Size of a request: somewhat less than a gateway's maximum message."""
_RECORDED_PER_CALL = 1_000
_FIELDS = [name for name in profile_pb2.Profile.DESCRIPTOR.fields_by_name]
_WORD = 8
"""Characters of a unique word and the space after it."""
_WORDS = ("lamp", "rug", "pan", "spade", "red", "blue", "wool", "desk", "floor", "grill")


@dataclass(frozen=True)
class World:
    """The shoppers and items that requests name; the gateway has them before the requests are sent."""

    shoppers: Sequence[str]
    """Ids of shoppers, each with as many recorded events as a call reads."""
    item_ids: Sequence[str]
    """Ids of items of the default catalogue."""
    interest: Sequence[str]
    """Node of the taxonomy that the shoppers have an interest in."""


def max_length(place: str) -> int:
    """Return the maximum number of entries, pairs or characters of a field, for example `Item.title`."""
    limit = LIMITS[place]
    assert isinstance(limit, ListSize | MapSize | TextLength)
    return limit.maximum


def make_text(number: int, characters: int) -> str:
    """Make a text of words that no other number has, of so many characters."""
    words = (f"{_WORDS[(number + n) % len(_WORDS)]}{number}" for n in itertools.count())
    made = ""
    while len(made) < characters:
        made += f"{next(words)} "
    return made[: characters - 1] + "x"


def make_history_requests(world: World, shopper: str) -> Iterator[event_service_pb2.RecordEventsRequest]:
    """Make requests that record as many events of a shopper as a call reads: unique searches, purchases and refunds."""
    now = datetime.now(UTC)
    kinds = [event_pb2.EVENT_TYPE_VIEW, event_pb2.EVENT_TYPE_PURCHASE, event_pb2.EVENT_TYPE_REFUND]
    events = []
    for number in range(MAX_HISTORY_EVENTS):
        time = Timestamp()
        time.FromDatetime(now - timedelta(minutes=MAX_HISTORY_EVENTS - number))
        event = event_pb2.Event(event_id=f"{shopper}-{number}", time=time)
        if number % 4 == 3:
            event.type, event.query = event_pb2.EVENT_TYPE_SEARCH, make_text(number, 60)
        else:
            event.type, event.item_id = kinds[number % 4], world.item_ids[number % len(world.item_ids)]
            event.price = 10.0 + number % 7
        events.append(event_service_pb2.ShopperEvent(shopper_id=shopper, event=event))
    for begin in range(0, len(events), _RECORDED_PER_CALL):
        yield event_service_pb2.RecordEventsRequest(events=events[begin : begin + _RECORDED_PER_CALL])


def _refer_to(shopper: str) -> shopper_pb2.ShopperRef:
    return shopper_pb2.ShopperRef(shopper_id=shopper)


def _make_inline(events: int) -> shopper_pb2.ShopperRef:
    """Make a history of the shortest possible events."""
    event = event_pb2.Event(type=event_pb2.EVENT_TYPE_VIEW, item_id="a")
    return shopper_pb2.ShopperRef(history=shopper_pb2.History(events=[event] * events))


def _make_item(number: int, bytes_: int) -> item_pb2.Item:
    """Make an item that is full of unique words."""
    item = item_pb2.Item(item_id=f"dearest-{number}", title=make_text(number, max_length("Item.title")))
    length, place = 500, 0
    while item.ByteSize() + length + 20 < bytes_ and place < max_length("Item.attributes"):
        item.attributes[f"attribute {place}"] = make_text(number + place, length)
        place += 1
    return item


def _get_profile(world: World) -> Message:
    examples = itertools.cycle(world.shoppers)
    return profile_service_pb2.GetProfileRequest(
        shopper=_refer_to(world.shoppers[0]),
        fields={"paths": _FIELDS},
        labels=[make_text(n, 200) for n in range(max_length("GetProfileRequest.labels"))],
        label_examples=[
            profile_service_pb2.LabelExamples(
                label=f"label {n}",
                shoppers=[_refer_to(next(examples)) for _ in range(max_length("LabelExamples.shoppers"))],
            )
            for n in range(max_length("GetProfileRequest.label_examples"))
        ],
    )


def _get_profile_of_history(world: World) -> Message:
    return profile_service_pb2.GetProfileRequest(shopper=_make_inline(MAX_HISTORY_EVENTS), fields={"paths": _FIELDS})


def _batch(shoppers: Sequence[shopper_pb2.ShopperRef]) -> Message:
    return profile_service_pb2.BatchGetProfilesRequest(shoppers=shoppers, fields={"paths": _FIELDS})


def _batch_of_one(world: World) -> Message:
    return _batch([_refer_to(world.shoppers[0])] * max_length("BatchGetProfilesRequest.shoppers"))


def _batch_of_many(world: World) -> Message:
    return _batch([_refer_to(shopper) for shopper in world.shoppers])


def _batch_inline(world: World) -> Message:
    one = _make_inline(MAX_HISTORY_EVENTS)
    return _batch([one] * min(max_length("BatchGetProfilesRequest.shoppers"), MESSAGE_BYTES // one.ByteSize()))


def _make_searcher(number: int, count: int) -> shopper_pb2.ShopperRef:
    """Make a shopper with the longest possible searches of unique words."""
    most_words = max_length("Event.query") // _WORD
    words = (f"w{place:0{_WORD - 2}x} " for place in itertools.count(number << 16))
    events = [
        event_pb2.Event(type=event_pb2.EVENT_TYPE_SEARCH, query="".join(itertools.islice(words, most_words)))
        for _ in range(count)
    ]
    return shopper_pb2.ShopperRef(history=shopper_pb2.History(events=events))


def _get_profile_of_searches(world: World) -> Message:
    shopper = _make_searcher(0, MESSAGE_BYTES // (max_length("Event.query") + 20))
    return profile_service_pb2.GetProfileRequest(shopper=shopper, fields={"paths": _FIELDS})


def _batch_of_searches(world: World) -> Message:
    count = max_length("BatchGetProfilesRequest.shoppers")
    each = MESSAGE_BYTES // count // (max_length("Event.query") + 20)
    return _batch([_make_searcher(number, each) for number in range(count)])


def _recommend(world: World) -> Message:
    return recommendation_service_pb2.RecommendRequest(
        shopper=_refer_to(world.shoppers[0]),
        query=make_text(1, max_length("RecommendRequest.query")),
        k=1_000,
        exclude_seen=True,
        filter={"exclude_item_ids": [f"excluded-{n}" for n in range(max_length("ItemFilter.exclude_item_ids"))]},
    )


def _rank(world: World) -> Message:
    count = max_length("RankRequest.candidates")
    return recommendation_service_pb2.RankRequest(
        shopper=_refer_to(world.shoppers[0]),
        query=make_text(2, max_length("RankRequest.query")),
        candidates=[
            recommendation_service_pb2.RankCandidate(item=_make_item(n, MESSAGE_BYTES // count)) for n in range(count)
        ],
    )


def _rank_of_one(world: World) -> Message:
    candidate = recommendation_service_pb2.RankCandidate(item=_make_item(1, 5_000))
    return recommendation_service_pb2.RankRequest(
        shopper=_refer_to(world.shoppers[0]), candidates=[candidate] * max_length("RankRequest.candidates")
    )


def _get_shelf(world: World) -> Message:
    return recommendation_service_pb2.GetShelfRequest(
        shopper=_refer_to(world.shoppers[0]),
        kind=shelf_pb2.SHELF_KIND_SIMILAR_ITEMS,
        item_ids=world.item_ids[: max_length("GetShelfRequest.item_ids")],
        k=1_000,
        exclude_seen=True,
    )


def _get_shelf_of_history(world: World) -> Message:
    return recommendation_service_pb2.GetShelfRequest(
        shopper=_refer_to(world.shoppers[0]), kind=shelf_pb2.SHELF_KIND_BUY_AGAIN, k=1_000
    )


def _explain_recommendation(world: World) -> Message:
    return explanation_service_pb2.ExplainRecommendationRequest(
        shopper=_refer_to(world.shoppers[0]),
        item_id=world.item_ids[0],
        query=make_text(3, max_length("ExplainRecommendationRequest.query")),
    )


def _explain_profile(world: World) -> Message:
    return explanation_service_pb2.ExplainProfileRequest(
        shopper=_refer_to(world.shoppers[0]), interest={"names": world.interest}
    )


def _explain_embedding(world: World) -> Message:
    return explanation_service_pb2.ExplainProfileRequest(shopper=_refer_to(world.shoppers[0]))


def _upsert(world: World) -> Message:
    count = max_length("UpsertItemsRequest.items")
    items = [_make_item(n, MESSAGE_BYTES // count) for n in range(count)]
    return catalogue_service_pb2.UpsertItemsRequest(catalogue="dearest", items=items)


def _delete(world: World) -> Message:
    count = max_length("DeleteItemsRequest.item_ids")
    return catalogue_service_pb2.DeleteItemsRequest(item_ids=[f"no-such-{n}" for n in range(count)])


def _encode(world: World) -> Message:
    limit = max_length("EncodeTextsRequest.texts")
    return text_service_pb2.EncodeTextsRequest(texts=[make_text(n, 1_000) for n in range(limit)])


def _encode_one(world: World) -> Message:
    return text_service_pb2.EncodeTextsRequest(texts=[make_text(1, 1_000)] * max_length("EncodeTextsRequest.texts"))


def _encode_in_stream(world: World) -> Message:
    """Make the largest request of a stream; a stream may have any number of them."""
    limit = max_length("EncodeTextStreamRequest.texts")
    return text_service_pb2.EncodeTextStreamRequest(texts=[make_text(n, 1_000) for n in range(limit)])


def _audience(world: World) -> audience_service_pb2.Audience:
    criteria = [
        audience_service_pb2.Criterion(
            interest={
                "categories": [
                    {"names": [*world.interest, str(n)]} for n in range(max_length("InterestCriterion.categories"))
                ],
                "labels": [make_text(100 * place + n, 200) for n in range(max_length("InterestCriterion.labels"))],
                "min_percentile": 0.1,
            }
        )
        for place in range(max_length("Audience.criteria"))
    ]
    return audience_service_pb2.Audience(
        criteria=criteria, look_alike={"criteria": {"criteria": criteria}, "top": 1_000_000}
    )


def _record(world: World) -> Message:
    return next(make_history_requests(world, "dearest-recorded"))


def _list_rare_events(world: World) -> Message:
    """Make a request for events of a type that the shopper has none of: all others are looked through."""
    return event_service_pb2.ListEventsRequest(
        shopper_id=world.shoppers[0], types=[event_pb2.EVENT_TYPE_RATE], page_size=1_000
    )


def _consents(world: World) -> Message:
    consent = consent_service_pb2.Consent(
        purpose=consent_service_pb2.PURPOSE_ADVERTISING,
        decision=consent_service_pb2.CONSENT_DECISION_GRANTED,
        notice="n" * 200,
    )
    return consent_service_pb2.SetConsentsRequest(
        shopper_id="dearest-consents", consents=[consent] * max_length("SetConsentsRequest.consents")
    )


RequestFactory = Callable[[World], Message]


def _review_target() -> review_pb2.ReviewTarget:
    names = item_pb2.CategoryPath(names=["n" * 200] * 10)
    segment = review_pb2.ReviewSegment(category=names, brand="b" * 200)
    return review_pb2.ReviewTarget(segment=segment, interest=names)


WORST_CASE_REQUESTS: dict[str, dict[str, RequestFactory]] = {
    "portrait.v1.ProfileService/GetProfile": {
        "examples": _get_profile, "history": _get_profile_of_history,
        "searches": _get_profile_of_searches,
    },
    "portrait.v1.ProfileService/BatchGetProfiles": {
        "one shopper": _batch_of_one, "many shoppers": _batch_of_many, "histories": _batch_inline,
        "searches": _batch_of_searches,
    },
    "portrait.v1.RecommendationService/Recommend": {"": _recommend},
    "portrait.v1.RecommendationService/Rank": {"": _rank, "one candidate": _rank_of_one},
    "portrait.v1.RecommendationService/GetShelf": {"items": _get_shelf, "history": _get_shelf_of_history},
    "portrait.v1.ExplanationService/ExplainRecommendation": {"": _explain_recommendation},
    "portrait.v1.ExplanationService/ExplainProfile": {"interest": _explain_profile, "embedding": _explain_embedding},
    "portrait.v1.CatalogueService/UpsertItems": {"": _upsert},
    "portrait.v1.CatalogueService/DeleteItems": {"": _delete},
    "portrait.v1.CatalogueService/GetItem": {
        "": lambda world: catalogue_service_pb2.GetItemRequest(item_id=world.item_ids[0])
    },
    "portrait.v1.TextService/EncodeTexts": {"": _encode, "one text": _encode_one},
    "portrait.v1.TextService/EncodeTextStream": {"": _encode_in_stream},
    "portrait.v1.AudienceService/FindAudience": {
        "": lambda world: audience_service_pb2.FindAudienceRequest(audience=_audience(world), page_size=10_000)
    },
    "portrait.v1.AudienceService/EstimateAudience": {
        "": lambda world: audience_service_pb2.EstimateAudienceRequest(audience=_audience(world))
    },
    "portrait.v1.EventService/RecordEvents": {"": _record},
    "portrait.v1.EventService/ListEvents": {"rare type": _list_rare_events},
    "portrait.v1.ConsentService/SetConsents": {"": _consents},
    "portrait.v1.ConsentService/GetConsents": {
        "": lambda world: consent_service_pb2.GetConsentsRequest(shopper_id=world.shoppers[0])
    },
    "portrait.v1.ConsentService/SetDemographics": {
        "": lambda world: consent_service_pb2.SetDemographicsRequest(shopper_id="dearest-consents", age=30)
    },
    "portrait.v1.IdentityService/LinkShoppers": {
        "": lambda world: identity_service_pb2.LinkShoppersRequest(
            shopper_id="dearest-login", anonymous_id="dearest-consents", source="s" * 200, confidence=1.0
        )
    },
    "portrait.v1.IdentityService/UnlinkShoppers": {
        "": lambda world: identity_service_pb2.UnlinkShoppersRequest(
            shopper_id="dearest-login", anonymous_id="dearest-consents"
        )
    },
    "portrait.v1.IdentityService/GetIdentity": {
        "": lambda world: identity_service_pb2.GetIdentityRequest(shopper_id="dearest-login")
    },
    "portrait.v1.IdentityService/JoinHousehold": {
        "": lambda world: identity_service_pb2.JoinHouseholdRequest(
            household_id="dearest-household", shopper_id="dearest-login", source="s" * 200, confidence=1.0
        )
    },
    "portrait.v1.IdentityService/LeaveHousehold": {
        "": lambda world: identity_service_pb2.LeaveHouseholdRequest(
            household_id="dearest-household", shopper_id="dearest-login"
        )
    },
    "portrait.v1.IdentityService/GetHousehold": {
        "": lambda world: identity_service_pb2.GetHouseholdRequest(household_id="dearest-household")
    },
    "portrait.v1.ReviewService/SetReview": {
        "": lambda world: review_service_pb2.SetReviewRequest(
            review=review_pb2.Review(
                target=_review_target(), action="REVIEW_ACTION_BLOCK", reviewed_by="r" * 200, note="n" * 200
            )
        )
    },
    "portrait.v1.ReviewService/ListReviews": {"": lambda world: review_service_pb2.ListReviewsRequest()},
    "portrait.v1.ReviewService/ListReviewQueue": {
        "": lambda world: review_service_pb2.ListReviewQueueRequest(page_size=1_000)
    },
    "portrait.v1.ReviewService/RemoveReview": {
        "": lambda world: review_service_pb2.RemoveReviewRequest(target=_review_target())
    },
    "portrait.v1.ConsentService/ExportShopper": {
        "": lambda world: consent_service_pb2.ExportShopperRequest(shopper_id=world.shoppers[-1])
    },
    "portrait.v1.ConsentService/ForgetShopper": {
        "": lambda world: consent_service_pb2.ForgetShopperRequest(shopper_id=world.shoppers[-1])
    },
}  # fmt: skip
"""By method: expensive requests, by the cause of their cost. The last one forgets a shopper."""
