"""The limits of the contract, in one table.

The comments of the protos repeat it word for word (`Limit: …`, `Required …`); a test holds the two together.
"""

import re

from portrait.server.reviews.review import MAX_BOOST, MAX_PLACE
from portrait.server.rpc.contract.bounds import (
    FieldMaskPaths,
    FloatRange,
    IntRange,
    Limit,
    ListSize,
    MapSize,
    Requirement,
    TextLength,
    TimeRange,
    WrittenId,
)
from portrait.server.storage.histories import MAX_HISTORY_EVENTS
from portrait.v1 import event_pb2, profile_pb2, shelf_pb2

MAX_BATCH_EVENTS = 25_000
"""Events of all histories of one batch of profiles, equal histories counted once; entries beyond fail one by one."""
MAX_BATCH_BYTES = 32 * 1024 * 1024
"""Longest response to a batch of profiles; entries that do not fit fail one by one."""
MAX_REQUEST_ENTRIES = 131_072
"""Entries of all repeated fields of one request."""

_CATALOGUE = TextLength(0, 64, re.compile(r"[A-Za-z0-9_-]*"), ": letters, digits, `_`, `-`")
_SHOPPER_ID = TextLength(1, 128)
_WRITTEN_ID = WrittenId(1, 128)
"""The id of a shopper or household to write to. Old events under a placeholder can still be read and forgotten."""
_ITEM_ID = TextLength(1, 256)
_NAME = TextLength(1, 200)
_QUERY = TextLength(0, 1000)
_PRICE = FloatRange(0, 1e9)
_FRACTION = FloatRange(0, 1)
_SCORE = IntRange(0, 5)
_NOTE = TextLength(0, 200)
_PROFILE_FIELDS = FieldMaskPaths(40, profile_pb2.Profile)

LIMITS: dict[str, Limit] = {
    "ActivityCriterion.before": TimeRange(),
    "ActivityCriterion.since": TimeRange(),
    "Audience.criteria": ListSize(0, 20),
    "BatchGetProfilesRequest.as_of": TimeRange(),
    "BatchGetProfilesRequest.fields": _PROFILE_FIELDS,
    "BatchGetProfilesRequest.shoppers": ListSize(1, 256),
    "CategoryPath.names": ListSize(1, 10, _NAME),
    "Consent.notice": _NOTE,
    "Consent.source": _NOTE,
    "Consent.time": TimeRange(),
    "SetDemographicsRequest.age": IntRange(0, 130),
    "SetDemographicsRequest.gender": TextLength(0, 50),
    "SetDemographicsRequest.region": TextLength(0, 100),
    "SetDemographicsRequest.shopper_id": _WRITTEN_ID,
    "SetDemographicsRequest.source": _NOTE,
    "DeleteItemsRequest.catalogue": _CATALOGUE,
    "DeleteItemsRequest.item_ids": ListSize(1, 1000, _ITEM_ID),
    "Event.catalogue": _CATALOGUE,
    "Event.dwell_seconds": FloatRange(0, 86_400),
    "Event.event_id": TextLength(1, 128),
    "Event.item_id": _ITEM_ID,
    "Event.position": IntRange(1, 100_000),
    "Event.price": _PRICE,
    "Event.quantity": FloatRange(0, 1e6, excludes_minimum=True),
    "Event.query": _QUERY,
    "Event.rating": FloatRange(1, 5),
    "Event.time": TimeRange(),
    "ExplainProfileRequest.as_of": TimeRange(),
    "ExplainProfileRequest.trait": _NAME,
    "ExplainRecommendationRequest.as_of": TimeRange(),
    "ExplainRecommendationRequest.catalogue": _CATALOGUE,
    "ExplainRecommendationRequest.item_id": _ITEM_ID,
    "ExplainRecommendationRequest.query": _QUERY,
    "GetConsentsRequest.shopper_id": _SHOPPER_ID,
    "GetHouseholdRequest.household_id": _SHOPPER_ID,
    "GetIdentityRequest.shopper_id": _SHOPPER_ID,
    "GetItemRequest.catalogue": _CATALOGUE,
    "GetItemRequest.item_id": _ITEM_ID,
    "GetShelfRequest.as_of": TimeRange(),
    "GetShelfRequest.catalogue": _CATALOGUE,
    "GetShelfRequest.item_ids": ListSize(0, 10, _ITEM_ID),
    "GetShelfRequest.k": IntRange(0, 1000),
    "GetProfileRequest.as_of": TimeRange(),
    "GetProfileRequest.fields": _PROFILE_FIELDS,
    "EncodeTextsRequest.texts": ListSize(1, 256, TextLength(1, 1000)),
    "EncodeTextStreamRequest.texts": ListSize(1, 256, TextLength(1, 1000)),
    "ExportShopperRequest.shopper_id": _SHOPPER_ID,
    "FindAudienceRequest.page_size": IntRange(0, 10_000),
    "FindAudienceRequest.page_token": TextLength(0, 200),
    "ForgetShopperRequest.shopper_id": _SHOPPER_ID,
    "GetProfileRequest.label_examples": ListSize(0, 5),
    "GetProfileRequest.labels": ListSize(0, 20, _NAME),
    "History.events": ListSize(0, MAX_HISTORY_EVENTS),
    "InterestCriterion.labels": ListSize(0, 20, _NAME),
    "InterestCriterion.min_percentile": _FRACTION,
    "InterestCriterion.min_weight": _FRACTION,
    "InterestCriterion.categories": ListSize(0, 50),
    "Item.attributes": MapSize(50, TextLength(1, 500)),
    "Item.brand": TextLength(0, 200),
    "Item.category_path": ListSize(0, 10, _NAME),
    "Item.item_id": _ITEM_ID,
    "Item.price": _PRICE,
    "Item.title": TextLength(1, 1000),
    "ItemFilter.brands": ListSize(0, 100, _NAME),
    "ItemFilter.categories": ListSize(0, 50),
    "ItemFilter.exclude_item_ids": ListSize(0, 10_000, _ITEM_ID),
    "ItemFilter.max_price": _PRICE,
    "ItemFilter.min_price": _PRICE,
    "JoinHouseholdRequest.confidence": FloatRange(0, 1, excludes_minimum=True),
    "JoinHouseholdRequest.household_id": _WRITTEN_ID,
    "JoinHouseholdRequest.shopper_id": _WRITTEN_ID,
    "JoinHouseholdRequest.source": _NAME,
    "JoinHouseholdRequest.time": TimeRange(),
    "LabelExamples.label": _NAME,
    "LabelExamples.shoppers": ListSize(1, 16),
    "LeaveHouseholdRequest.household_id": _SHOPPER_ID,
    "LeaveHouseholdRequest.shopper_id": _SHOPPER_ID,
    "LinkShoppersRequest.anonymous_id": _WRITTEN_ID,
    "LinkShoppersRequest.confidence": FloatRange(0, 1, excludes_minimum=True),
    "LinkShoppersRequest.shopper_id": _WRITTEN_ID,
    "LinkShoppersRequest.source": _NAME,
    "LinkShoppersRequest.time": TimeRange(),
    "ListEventsRequest.before": TimeRange(),
    "ListEventsRequest.page_size": IntRange(0, 1000),
    "ListEventsRequest.page_token": TextLength(0, 200),
    "ListEventsRequest.shopper_id": _SHOPPER_ID,
    "ListEventsRequest.since": TimeRange(),
    "ListEventsRequest.types": ListSize(0, 7),
    "ListReviewQueueRequest.page_size": IntRange(0, 1000),
    "ListReviewQueueRequest.page_token": TextLength(0, 200),
    "ListReviewsRequest.shopper_id": TextLength(0, 128),
    "LookAlike.min_similarity": FloatRange(-1, 1),
    "LookAlike.top": IntRange(1, 1_000_000),
    "RankRequest.as_of": TimeRange(),
    "RankRequest.candidates": ListSize(1, 1000),
    "RankRequest.catalogue": _CATALOGUE,
    "RankRequest.query": _QUERY,
    "RecommendRequest.as_of": TimeRange(),
    "RecommendRequest.catalogue": _CATALOGUE,
    "RecommendRequest.k": IntRange(0, 1000),
    "RecommendRequest.max_per_category": IntRange(0, 1000),
    "RecommendRequest.query": _QUERY,
    "RecordEventsRequest.events": ListSize(1, 1000),
    "RegionCriterion.regions": ListSize(1, 100, TextLength(1, 100)),
    "Review.note": _NOTE,
    "Review.reviewed_by": _NAME,
    "Review.value": FloatRange(-MAX_BOOST, MAX_PLACE),
    "ReviewSegment.brand": _NOTE,
    "ReviewTarget.rule": TextLength(1, 64),
    "ReviewTarget.shopper_id": _SHOPPER_ID,
    "ReviewTarget.trait": _NAME,
    "ReviewedItem.catalogue": _CATALOGUE,
    "ReviewedItem.item_id": _ITEM_ID,
    "SeedCriteria.criteria": ListSize(1, 20),
    "SeedShoppers.shopper_ids": ListSize(1, 10_000, _SHOPPER_ID),
    "SetConsentsRequest.consents": ListSize(1, 20),
    "SetConsentsRequest.shopper_id": _WRITTEN_ID,
    "ShopperEvent.shopper_id": _WRITTEN_ID,
    "ShopperRef.shopper_id": _SHOPPER_ID,
    "TraitCriterion.max_probability": _FRACTION,
    "TraitCriterion.min_probability": _FRACTION,
    "TraitCriterion.name": _NAME,
    "UnlinkShoppersRequest.anonymous_id": _SHOPPER_ID,
    "UnlinkShoppersRequest.shopper_id": _SHOPPER_ID,
    "UpsertItemsRequest.catalogue": _CATALOGUE,
    "UpsertItemsRequest.items": ListSize(1, 500),
    "CustomerValueCriterion.min_frequency_score": _SCORE,
    "CustomerValueCriterion.min_monetary_score": _SCORE,
    "CustomerValueCriterion.min_recency_score": _SCORE,
    "CustomerValueCriterion.segments": ListSize(0, 5),
    "CustomerValueCriterion.tiers": ListSize(0, 4),
}
"""The limit of each field of a request, by message and field. An unset field is only checked against REQUIRED."""


_SHELVES_OF_ITEMS = (shelf_pb2.SHELF_KIND_SIMILAR_ITEMS, shelf_pb2.SHELF_KIND_FREQUENTLY_BOUGHT_TOGETHER)
_SEARCH = event_pb2.EVENT_TYPE_SEARCH

ALWAYS = Requirement("Required", lambda message, place: True)
TO_RECORD = Requirement("Required to record", lambda event, place: place == "ShopperEvent.event")
FOR_SEARCH = Requirement("Required if `type` is SEARCH", lambda event, place: event.type == _SEARCH)
EXCEPT_SEARCH = Requirement("Required unless `type` is SEARCH", lambda event, place: event.type != _SEARCH)
FOR_SHELF_OF_ITEMS = Requirement(
    "Required if `kind` is SIMILAR_ITEMS or FREQUENTLY_BOUGHT_TOGETHER",
    lambda request, place: request.kind in _SHELVES_OF_ITEMS,
)
EXCEPT_TO_RANK = Requirement(
    "Required except of a candidate to rank", lambda item, place: place != "RankCandidate.item"
)

REQUIRED: dict[str, Requirement] = {
    "Criterion.criterion": ALWAYS,
    "EstimateAudienceRequest.audience": ALWAYS,
    "Consent.decision": ALWAYS,
    "Consent.purpose": ALWAYS,
    "SetDemographicsRequest.shopper_id": ALWAYS,
    "Event.event_id": TO_RECORD,
    "Event.item_id": EXCEPT_SEARCH,
    "Event.query": FOR_SEARCH,
    "Event.time": TO_RECORD,
    "Event.type": ALWAYS,
    "ExplainProfileRequest.shopper": ALWAYS,
    "ExplainRecommendationRequest.item_id": ALWAYS,
    "ExplainRecommendationRequest.shopper": ALWAYS,
    "ExportShopperRequest.shopper_id": ALWAYS,
    "FindAudienceRequest.audience": ALWAYS,
    "ForgetShopperRequest.shopper_id": ALWAYS,
    "GetConsentsRequest.shopper_id": ALWAYS,
    "GetHouseholdRequest.household_id": ALWAYS,
    "GetIdentityRequest.shopper_id": ALWAYS,
    "GetItemRequest.item_id": ALWAYS,
    "GetProfileRequest.shopper": ALWAYS,
    "GetShelfRequest.item_ids": FOR_SHELF_OF_ITEMS,
    "GetShelfRequest.kind": ALWAYS,
    "GetShelfRequest.shopper": ALWAYS,
    "Item.item_id": ALWAYS,
    "Item.title": EXCEPT_TO_RANK,
    "JoinHouseholdRequest.confidence": ALWAYS,
    "JoinHouseholdRequest.household_id": ALWAYS,
    "JoinHouseholdRequest.shopper_id": ALWAYS,
    "JoinHouseholdRequest.source": ALWAYS,
    "LabelExamples.label": ALWAYS,
    "LeaveHouseholdRequest.household_id": ALWAYS,
    "LeaveHouseholdRequest.shopper_id": ALWAYS,
    "LinkShoppersRequest.anonymous_id": ALWAYS,
    "LinkShoppersRequest.confidence": ALWAYS,
    "LinkShoppersRequest.shopper_id": ALWAYS,
    "LinkShoppersRequest.source": ALWAYS,
    "ListEventsRequest.shopper_id": ALWAYS,
    "LookAlike.extent": ALWAYS,
    "LookAlike.seed": ALWAYS,
    "RankCandidate.item": ALWAYS,
    "RankRequest.shopper": ALWAYS,
    "RecommendRequest.shopper": ALWAYS,
    "RemoveReviewRequest.target": ALWAYS,
    "Review.action": ALWAYS,
    "Review.reviewed_by": ALWAYS,
    "Review.target": ALWAYS,
    "ReviewTarget.scope": ALWAYS,
    "ReviewTarget.subject": ALWAYS,
    "ReviewedItem.item_id": ALWAYS,
    "SetConsentsRequest.shopper_id": ALWAYS,
    "SetReviewRequest.review": ALWAYS,
    "ShopperEvent.event": ALWAYS,
    "ShopperEvent.shopper_id": ALWAYS,
    "ShopperRef.shopper": ALWAYS,
    "TraitCriterion.name": ALWAYS,
    "UnlinkShoppersRequest.anonymous_id": ALWAYS,
    "UnlinkShoppersRequest.shopper_id": ALWAYS,
}
"""The condition under which each field, or oneof, of a request must be set."""

CHECKED_PER_ENTRY = frozenset(
    {"BatchGetProfilesRequest.shoppers", "RecordEventsRequest.events", "UpsertItemsRequest.items"}
)
"""Fields whose entries fail one by one: their service checks every entry against the table."""
