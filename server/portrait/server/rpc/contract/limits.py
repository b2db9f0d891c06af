"""The limits of the contract, in one table.

The comments of the protos repeat it word for word (`Limit: …`, `Required …`); a test holds the two together.
"""

import re

from portrait.server.rpc.contract.bounds import (
    Characters,
    Entries,
    FieldNames,
    Finite,
    Limit,
    Moment,
    Pairs,
    Requirement,
    Whole,
)
from portrait.server.storage.histories import MAX_HISTORY_EVENTS
from portrait.v1 import event_pb2, profile_pb2

MAX_BATCH_EVENTS = 25_000
"""Events of all histories of one batch of profiles, each history counted once: those beyond fail by themselves."""
MAX_BATCH_BYTES = 32 * 1024 * 1024
"""An answer to a batch of profiles is no longer: what does not fit fails by itself."""
MAX_REQUEST_ENTRIES = 131_072
"""Entries of all repeated fields of one request."""

_CATALOGUE = Characters(0, 64, re.compile(r"[A-Za-z0-9_-]*"), ": letters, digits, `_`, `-`")
_SHOPPER_ID = Characters(1, 128)
_ITEM_ID = Characters(1, 256)
_NAME = Characters(1, 200)
_QUERY = Characters(0, 1000)
_PRICE = Finite(0, 1e9)
_SHARE = Finite(0, 1)
_SCORE = Whole(0, 5)
_NOTE = Characters(0, 200)
_PROFILE_FIELDS = FieldNames(40, profile_pb2.Profile)

LIMITS: dict[str, Limit] = {
    "ActivityCriterion.before": Moment(),
    "ActivityCriterion.since": Moment(),
    "Audience.criteria": Entries(0, 20),
    "BatchGetProfilesRequest.as_of": Moment(),
    "BatchGetProfilesRequest.fields": _PROFILE_FIELDS,
    "BatchGetProfilesRequest.shoppers": Entries(1, 256),
    "CategoryPath.names": Entries(1, 10, _NAME),
    "Consent.notice": _NOTE,
    "Consent.source": _NOTE,
    "Consent.time": Moment(),
    "SetDemographicsRequest.age": Whole(0, 130),
    "SetDemographicsRequest.gender": Characters(0, 50),
    "SetDemographicsRequest.region": Characters(0, 100),
    "SetDemographicsRequest.shopper_id": _SHOPPER_ID,
    "SetDemographicsRequest.source": _NOTE,
    "DeleteItemsRequest.catalogue": _CATALOGUE,
    "DeleteItemsRequest.item_ids": Entries(1, 1000, _ITEM_ID),
    "Event.catalogue": _CATALOGUE,
    "Event.dwell_seconds": Finite(0, 86_400),
    "Event.event_id": Characters(1, 128),
    "Event.item_id": _ITEM_ID,
    "Event.position": Whole(1, 100_000),
    "Event.price": _PRICE,
    "Event.quantity": Finite(0, 1e6, open=True),
    "Event.query": _QUERY,
    "Event.rating": Finite(1, 5),
    "Event.time": Moment(),
    "ExplainProfileRequest.as_of": Moment(),
    "ExplainProfileRequest.trait": _NAME,
    "ExplainRecommendationRequest.as_of": Moment(),
    "ExplainRecommendationRequest.catalogue": _CATALOGUE,
    "ExplainRecommendationRequest.item_id": _ITEM_ID,
    "ExplainRecommendationRequest.query": _QUERY,
    "GetConsentsRequest.shopper_id": _SHOPPER_ID,
    "GetItemRequest.catalogue": _CATALOGUE,
    "GetItemRequest.item_id": _ITEM_ID,
    "GetProfileRequest.as_of": Moment(),
    "GetProfileRequest.fields": _PROFILE_FIELDS,
    "EncodeTextsRequest.texts": Entries(1, 256, Characters(1, 1000)),
    "FindAudienceRequest.page_size": Whole(0, 10_000),
    "FindAudienceRequest.page_token": Characters(0, 200),
    "ForgetShopperRequest.shopper_id": _SHOPPER_ID,
    "GetProfileRequest.label_examples": Entries(0, 5),
    "GetProfileRequest.labels": Entries(0, 20, _NAME),
    "History.events": Entries(0, MAX_HISTORY_EVENTS),
    "InterestCriterion.labels": Entries(0, 20, _NAME),
    "InterestCriterion.min_percentile": _SHARE,
    "InterestCriterion.min_weight": _SHARE,
    "InterestCriterion.categories": Entries(0, 50),
    "Item.attributes": Pairs(50, Characters(1, 500)),
    "Item.brand": Characters(0, 200),
    "Item.category_path": Entries(0, 10, _NAME),
    "Item.item_id": _ITEM_ID,
    "Item.price": _PRICE,
    "Item.title": Characters(1, 1000),
    "ItemFilter.brands": Entries(0, 100, _NAME),
    "ItemFilter.categories": Entries(0, 50),
    "ItemFilter.exclude_item_ids": Entries(0, 10_000, _ITEM_ID),
    "ItemFilter.max_price": _PRICE,
    "ItemFilter.min_price": _PRICE,
    "LabelExamples.label": _NAME,
    "LabelExamples.shoppers": Entries(1, 16),
    "LookAlike.min_similarity": Finite(-1, 1),
    "LookAlike.top": Whole(1, 1_000_000),
    "RankRequest.as_of": Moment(),
    "RankRequest.candidates": Entries(1, 1000),
    "RankRequest.catalogue": _CATALOGUE,
    "RankRequest.query": _QUERY,
    "RecommendRequest.as_of": Moment(),
    "RecommendRequest.catalogue": _CATALOGUE,
    "RecommendRequest.k": Whole(0, 1000),
    "RecommendRequest.max_per_category": Whole(0, 1000),
    "RecommendRequest.query": _QUERY,
    "RecordEventsRequest.events": Entries(1, 1000),
    "RegionCriterion.regions": Entries(1, 100, Characters(1, 100)),
    "SeedCriteria.criteria": Entries(1, 20),
    "SeedShoppers.shopper_ids": Entries(1, 10_000, _SHOPPER_ID),
    "SetConsentsRequest.consents": Entries(1, 20),
    "SetConsentsRequest.shopper_id": _SHOPPER_ID,
    "ShopperEvent.shopper_id": _SHOPPER_ID,
    "ShopperRef.shopper_id": _SHOPPER_ID,
    "TraitCriterion.max_probability": _SHARE,
    "TraitCriterion.min_probability": _SHARE,
    "TraitCriterion.name": _NAME,
    "UpsertItemsRequest.catalogue": _CATALOGUE,
    "UpsertItemsRequest.items": Entries(1, 500),
    "CustomerValueCriterion.min_frequency_score": _SCORE,
    "CustomerValueCriterion.min_monetary_score": _SCORE,
    "CustomerValueCriterion.min_recency_score": _SCORE,
    "CustomerValueCriterion.segments": Entries(0, 5),
    "CustomerValueCriterion.tiers": Entries(0, 4),
}
"""What each field of a request may hold, by message and field. An unset field is held against REQUIRED only."""


_SEARCH = event_pb2.EVENT_TYPE_SEARCH

ALWAYS = Requirement("Required", lambda message, place: True)
TO_RECORD = Requirement("Required to record", lambda event, place: place == "ShopperEvent.event")
FOR_SEARCH = Requirement("Required if `type` is SEARCH", lambda event, place: event.type == _SEARCH)
EXCEPT_SEARCH = Requirement("Required unless `type` is SEARCH", lambda event, place: event.type != _SEARCH)
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
    "FindAudienceRequest.audience": ALWAYS,
    "ForgetShopperRequest.shopper_id": ALWAYS,
    "GetConsentsRequest.shopper_id": ALWAYS,
    "GetItemRequest.item_id": ALWAYS,
    "GetProfileRequest.shopper": ALWAYS,
    "Item.item_id": ALWAYS,
    "Item.title": EXCEPT_TO_RANK,
    "LabelExamples.label": ALWAYS,
    "LookAlike.extent": ALWAYS,
    "LookAlike.seed": ALWAYS,
    "RankCandidate.item": ALWAYS,
    "RankRequest.shopper": ALWAYS,
    "RecommendRequest.shopper": ALWAYS,
    "SetConsentsRequest.shopper_id": ALWAYS,
    "ShopperEvent.event": ALWAYS,
    "ShopperEvent.shopper_id": ALWAYS,
    "ShopperRef.shopper": ALWAYS,
    "TraitCriterion.name": ALWAYS,
}
"""When each field, or each oneof, of a request must be set."""

SERVED_ONE_BY_ONE = frozenset(
    {"BatchGetProfilesRequest.shoppers", "RecordEventsRequest.events", "UpsertItemsRequest.items"}
)
"""Fields whose entries fail each by itself: the service holds every entry against the table."""
