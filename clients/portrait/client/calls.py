"""The calls of the contract: each function builds the request of an RPC and says how to read the response.

The synchronous and the asynchronous client share them.
"""

import functools
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from itertools import count, islice
from typing import Any, Generic, ParamSpec, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask

import portrait.v1
from portrait.client import identity_messages, messages
from portrait.client.arguments import bind, check, check_each
from portrait.client.audiences import (
    AudiencePage,
    AudienceSummary,
    Criterion,
    LookAlike,
    build_audience,
    read_page,
    read_summary,
)
from portrait.client.enums import ReviewQueueKind, ShelfKind
from portrait.client.message_reader import read_message
from portrait.client.profiles import (
    Demographics,
    Profile,
    ProfileError,
    read_demographics,
    read_profile,
    read_profiles,
)
from portrait.client.request_streams import RequestStream
from portrait.client.results import (
    Consent,
    Consents,
    Embeddings,
    Event,
    EventPage,
    EventType,
    Filter,
    ForgetSummary,
    Identity,
    Item,
    Membership,
    Permission,
    ProfileExplanation,
    Purpose,
    Ranking,
    RankingExplanation,
    RecordSummary,
    Shopper,
    UpsertSummary,
)
from portrait.client.review_queue import ReviewQueuePage, build_queue_request, read_queue_page
from portrait.client.reviews import Review, ReviewTarget, build_review, build_target, read_review, read_review_list
from portrait.client.shelves import Shelf, read_shelf
from portrait.client.shopper_records import ShopperRecords, read_shopper_records
from portrait.v1 import (
    audience_service_pb2,
    catalogue_service_pb2,
    consent_service_pb2,
    event_service_pb2,
    explanation_service_pb2,
    identity_service_pb2,
    item_pb2,
    profile_service_pb2,
    recommendation_service_pb2,
    review_service_pb2,
    text_service_pb2,
)

R = TypeVar("R")
P = ParamSpec("P")

EVENTS_PER_CALL, ITEMS_PER_CALL, TEXTS_PER_CALL = 1000, 500, 256
"""Limits of the contract."""
TEXTS_PER_REQUEST = 64
"""Texts of each request of a stream; the contract advises 32 to 128."""
_NO_ARGUMENTS: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Call(Generic[R]):
    """A call that is ready to be sent."""

    method: str
    """Name of the RPC."""
    request: Any
    """The message; a `RequestStream` if the RPC takes a stream."""
    read: Callable[[Any], R]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the client's method that the request was built from, by name."""


def _checked(build: Callable[P, Call[R]]) -> Callable[P, Call[R]]:
    """Check the arguments of a function before it builds a call."""

    @functools.wraps(build)
    def checking(*given: P.args, **named: P.kwargs) -> Call[R]:
        arguments = bind(build, given)
        return replace(build(*arguments.values(), **named), arguments=arguments)

    return checking


def stub_methods(channel: Any) -> dict[str, Callable[..., Any]]:
    """Return the methods of the generated stubs of all services over one channel, by name of the RPC."""
    methods: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.iter_modules(portrait.v1.__path__):
        if not module.name.endswith("_service_pb2"):
            continue
        services = import_module(f"portrait.v1.{module.name}").DESCRIPTOR.services_by_name.values()
        stubs = import_module(f"portrait.v1.{module.name}_grpc")
        for service in services:
            stub = getattr(stubs, f"{service.name}Stub")(channel)
            methods |= {method.name: getattr(stub, method.name) for method in service.methods}
    return methods


def record_events(events: Iterable[tuple[str, Event]]) -> Iterator[Call[RecordSummary]]:
    """Record any number of events, in one call for every `EVENTS_PER_CALL` of them."""
    if not isinstance(events, Iterator):
        check(events, Iterable[Any], "events")
    remaining = iter(events)
    for first in count(step=EVENTS_PER_CALL):
        part = list(islice(remaining, EVENTS_PER_CALL))
        if not part:
            return
        check_each(part, tuple[str, Event], "events", first)
        yield record_request(messages.build_record_request(part), first, {"events": part})


def record_request(
    request: event_service_pb2.RecordEventsRequest, first: int = 0, arguments: Mapping[str, Any] = _NO_ARGUMENTS
) -> Call[RecordSummary]:
    """Record the events of a request that is built.

    Args:
        request: with `EVENTS_PER_CALL` events at most.
        first: index of its first event over all calls.
        arguments: see `Call`.
    """
    return Call("RecordEvents", request, functools.partial(messages.read_record_summary, first=first), arguments)


def sum_record_summaries(parts: Sequence[RecordSummary]) -> RecordSummary:
    """Add up the summaries of several calls."""
    return RecordSummary(
        sum(part.accepted for part in parts),
        sum(part.duplicates for part in parts),
        tuple(rejection for part in parts for rejection in part.rejected),
    )


def _mask(fields: Sequence[str] | None) -> FieldMask | None:
    return None if fields is None else FieldMask(paths=fields)


@_checked
def list_events(
    shopper_id: str,
    types: Sequence[EventType],
    since: datetime | None,
    before: datetime | None,
    page_size: int,
    page_token: str,
) -> Call[EventPage]:
    """List recorded events of a shopper."""
    request = messages.build_list_request(shopper_id, types, since, before, page_size, page_token)
    return Call("ListEvents", request, messages.read_event_page)


@_checked
def get_profile(
    shopper: Shopper,
    as_of: datetime | None,
    fields: Sequence[str] | None,
    labels: Sequence[str],
    label_examples: Mapping[str, Sequence[Shopper]],
    allow_degraded: bool,
) -> Call[Profile]:
    """Get one profile."""
    request = profile_service_pb2.GetProfileRequest(
        shopper=messages.build_shopper(shopper),
        as_of=messages.build_timestamp(as_of),
        fields=_mask(fields),
        labels=labels,
        label_examples=[
            profile_service_pb2.LabelExamples(label=label, shoppers=map(messages.build_shopper, examples))
            for label, examples in label_examples.items()
        ],
        allow_degraded=allow_degraded,
    )
    return Call("GetProfile", request, lambda response: read_profile(response.profile))


@_checked
def batch_get_profiles(
    shoppers: Sequence[Shopper], as_of: datetime | None, fields: Sequence[str] | None, allow_degraded: bool
) -> Call[list[Profile | ProfileError]]:
    """Get many profiles."""
    request = profile_service_pb2.BatchGetProfilesRequest(
        shoppers=[messages.build_shopper(each) for each in shoppers],
        as_of=messages.build_timestamp(as_of),
        fields=_mask(fields),
        allow_degraded=allow_degraded,
    )
    return Call("BatchGetProfiles", request, read_profiles)


@_checked
def recommend(
    shopper: Shopper,
    catalogue: str,
    query: str,
    k: int,
    filter: Filter | None,
    exclude_seen: bool,
    as_of: datetime | None,
    allow_degraded: bool,
    max_per_category: int,
) -> Call[Ranking]:
    """Get the best items of a catalogue."""
    request = recommendation_service_pb2.RecommendRequest(
        shopper=messages.build_shopper(shopper),
        catalogue=catalogue,
        query=query,
        k=k,
        filter=messages.build_filter(filter) if filter else None,
        exclude_seen=exclude_seen,
        as_of=messages.build_timestamp(as_of),
        allow_degraded=allow_degraded,
        max_per_category=max_per_category,
    )
    return Call("Recommend", request, messages.read_ranking)


@_checked
def rank(
    shopper: Shopper,
    candidates: Sequence[Item | str],
    catalogue: str,
    query: str,
    as_of: datetime | None,
    allow_degraded: bool,
) -> Call[Ranking]:
    """Rank the caller's candidates."""
    items = [Item(each) if isinstance(each, str) else each for each in candidates]
    request = recommendation_service_pb2.RankRequest(
        shopper=messages.build_shopper(shopper),
        catalogue=catalogue,
        query=query,
        candidates=[recommendation_service_pb2.RankCandidate(item=messages.build_item(each)) for each in items],
        as_of=messages.build_timestamp(as_of),
        allow_degraded=allow_degraded,
    )
    return Call("Rank", request, messages.read_ranking)


@_checked
def get_shelf(
    shopper: Shopper,
    kind: ShelfKind,
    item_ids: Sequence[str],
    catalogue: str,
    k: int,
    filter: Filter | None,
    exclude_seen: bool,
    as_of: datetime | None,
) -> Call[Shelf]:
    """Get a shelf."""
    request = recommendation_service_pb2.GetShelfRequest(
        shopper=messages.build_shopper(shopper),
        kind=f"SHELF_KIND_{ShelfKind(kind).name}",
        item_ids=item_ids,
        catalogue=catalogue,
        k=k,
        filter=messages.build_filter(filter) if filter else None,
        exclude_seen=exclude_seen,
        as_of=messages.build_timestamp(as_of),
    )
    return Call("GetShelf", request, read_shelf)


@_checked
def encode_texts(texts: Sequence[str]) -> Call[Embeddings]:
    """Encode texts."""
    return Call("EncodeTexts", text_service_pb2.EncodeTextsRequest(texts=texts), messages.read_embeddings)


def encode_text_stream(texts: Iterable[str]) -> Call[Embeddings]:
    """Encode any number of texts; requests and responses are streams."""
    if not isinstance(texts, Iterator):
        check(texts, Iterable[Any], "texts")
    requests = RequestStream(
        texts, "texts", str, TEXTS_PER_REQUEST, lambda part: text_service_pb2.EncodeTextStreamRequest(texts=part)
    )
    return Call("EncodeTextStream", requests, messages.read_embeddings, {"texts": texts})


@_checked
def explain_recommendation(
    shopper: Shopper, item_id: str, catalogue: str, query: str, as_of: datetime | None
) -> Call[RankingExplanation]:
    """Explain an item's score."""
    request = explanation_service_pb2.ExplainRecommendationRequest(
        shopper=messages.build_shopper(shopper),
        catalogue=catalogue,
        query=query,
        item_id=item_id,
        as_of=messages.build_timestamp(as_of),
    )
    return Call("ExplainRecommendation", request, messages.read_ranking_explanation)


@_checked
def explain_profile(
    shopper: Shopper, interest: Sequence[str], trait: str, as_of: datetime | None
) -> Call[ProfileExplanation]:
    """Explain a profile or a part of it."""
    if interest and trait:
        raise ValueError("an interest or a trait can be explained, not both")
    request = explanation_service_pb2.ExplainProfileRequest(
        shopper=messages.build_shopper(shopper),
        as_of=messages.build_timestamp(as_of),
        interest=item_pb2.CategoryPath(names=interest) if interest else None,
        trait=trait or None,
    )
    return Call("ExplainProfile", request, messages.read_profile_explanation)


@_checked
def upsert_items(items: Sequence[Item], catalogue: str) -> Call[UpsertSummary]:
    """Add or replace items."""
    request = catalogue_service_pb2.UpsertItemsRequest(
        catalogue=catalogue, items=[messages.build_item(each) for each in items]
    )
    return Call("UpsertItems", request, messages.read_upsert_summary)


@_checked
def delete_items(item_ids: Sequence[str], catalogue: str) -> Call[int]:
    """Delete items."""
    request = catalogue_service_pb2.DeleteItemsRequest(catalogue=catalogue, item_ids=item_ids)
    return Call("DeleteItems", request, lambda response: int(response.deleted))


@_checked
def get_item(item_id: str, catalogue: str) -> Call[Item]:
    """Get one item."""
    request = catalogue_service_pb2.GetItemRequest(catalogue=catalogue, item_id=item_id)
    return Call("GetItem", request, lambda response: messages.read_item(response.item))


@_checked
def find_audience(
    criteria: Sequence[Criterion], look_alike: LookAlike | None, page_size: int, page_token: str
) -> Call[AudiencePage]:
    """Find the shoppers who meet criteria; the response is a stream of pages."""
    request = audience_service_pb2.FindAudienceRequest(
        audience=build_audience(criteria, look_alike), page_size=page_size, page_token=page_token
    )
    return Call("FindAudience", request, read_page)


@_checked
def estimate_audience(criteria: Sequence[Criterion], look_alike: LookAlike | None) -> Call[AudienceSummary]:
    """Estimate how many shoppers meet criteria."""
    request = audience_service_pb2.EstimateAudienceRequest(audience=build_audience(criteria, look_alike))
    return Call("EstimateAudience", request, read_summary)


@_checked
def set_consents(shopper_id: str, consents: Sequence[Consent]) -> Call[Mapping[Purpose, Permission]]:
    """Record consent decisions of a shopper."""
    return Call("SetConsents", messages.build_consents_request(shopper_id, consents), messages.read_permissions)


@_checked
def get_consents(shopper_id: str) -> Call[Consents]:
    """Get a shopper's permissions and recorded decisions."""
    request = consent_service_pb2.GetConsentsRequest(shopper_id=shopper_id)
    return Call("GetConsents", request, messages.read_consents)


@_checked
def set_demographics(shopper_id: str, age: int | None, gender: str, region: str, source: str) -> Call[Demographics]:
    """Replace a shopper's declared demographics."""
    request = consent_service_pb2.SetDemographicsRequest(
        shopper_id=shopper_id, age=age, gender=gender, region=region, source=source
    )
    return Call("SetDemographics", request, lambda response: read_demographics(response.demographics))


@_checked
def link_shoppers(
    shopper_id: str, anonymous_id: str, source: str, confidence: float, time: datetime | None
) -> Call[Identity]:
    """Link an anonymous id to a login."""
    request = identity_messages.build_link_request(shopper_id, anonymous_id, source, confidence, time)
    return Call("LinkShoppers", request, identity_messages.read_identity)


@_checked
def unlink_shoppers(shopper_id: str, anonymous_id: str) -> Call[Identity]:
    """Remove the link of an anonymous id to a login."""
    request = identity_service_pb2.UnlinkShoppersRequest(shopper_id=shopper_id, anonymous_id=anonymous_id)
    return Call("UnlinkShoppers", request, identity_messages.read_identity)


@_checked
def get_identity(shopper_id: str) -> Call[Identity]:
    """Get all ids of a shopper."""
    request = identity_service_pb2.GetIdentityRequest(shopper_id=shopper_id)
    return Call("GetIdentity", request, identity_messages.read_identity)


@_checked
def join_household(
    household_id: str, shopper_id: str, source: str, confidence: float, time: datetime | None
) -> Call[Identity]:
    """Make a shopper a member of a household."""
    request = identity_messages.build_join_request(household_id, shopper_id, source, confidence, time)
    return Call("JoinHousehold", request, identity_messages.read_identity)


@_checked
def leave_household(household_id: str, shopper_id: str) -> Call[Identity]:
    """Remove a membership."""
    request = identity_service_pb2.LeaveHouseholdRequest(household_id=household_id, shopper_id=shopper_id)
    return Call("LeaveHousehold", request, identity_messages.read_identity)


@_checked
def get_household(household_id: str) -> Call[tuple[Membership, ...]]:
    """Get the members of a household."""
    request = identity_service_pb2.GetHouseholdRequest(household_id=household_id)
    return Call("GetHousehold", request, lambda response: tuple(map(read_message, response.members)))


@_checked
def set_review(review: Review) -> Call[Review]:
    """Keep a review."""
    request = review_service_pb2.SetReviewRequest(review=build_review(review))
    return Call("SetReview", request, lambda response: read_review(response.review))


@_checked
def remove_review(target: ReviewTarget) -> Call[bool]:
    """Remove a review."""
    request = review_service_pb2.RemoveReviewRequest(target=build_target(target))
    return Call("RemoveReview", request, lambda response: bool(response.removed))


@_checked
def list_reviews(shopper_id: str) -> Call[tuple[Review, ...]]:
    """List reviews; the response is a stream of parts."""
    return Call("ListReviews", review_service_pb2.ListReviewsRequest(shopper_id=shopper_id), read_review_list)


@_checked
def list_review_queue(kind: ReviewQueueKind | None, page_size: int, page_token: str) -> Call[ReviewQueuePage]:
    """List a page of what wants a review."""
    return Call("ListReviewQueue", build_queue_request(kind, page_size, page_token), read_queue_page)


@_checked
def export_shopper(shopper_id: str) -> Call[ShopperRecords]:
    """Export everything that is recorded of a shopper; the response is a stream of parts."""
    request = consent_service_pb2.ExportShopperRequest(shopper_id=shopper_id)
    return Call("ExportShopper", request, read_shopper_records)


@_checked
def forget_shopper(shopper_id: str) -> Call[ForgetSummary]:
    """Delete everything that is recorded of a shopper."""
    request = consent_service_pb2.ForgetShopperRequest(shopper_id=shopper_id)
    return Call("ForgetShopper", request, messages.read_forget_summary)
