"""Calls without a channel: how events are cut into calls, what the client's public face is."""

import inspect
from collections.abc import Iterator

import pytest

import portrait.client
from portrait.client import Event, EventType, Rejection, calls
from portrait.client.results import RecordSummary

PUBLIC = [
    *(
        "AbsentField",
        "AccessDeniedError",
        "ActivityCriterion",
        "ActivityPattern",
        "AsyncClient",
        "AudienceMember",
        "AudiencePage",
    ),
    *("AudienceSummary", "Aversion", "BrandAffinity", "CallOptions", "Client", "Consent", "ConsentRecord"),
    *("Consents", "CustomerValue", "CustomerValueCriterion", "DeadlineExceededError", "Demographics"),
    *("DiscountSensitivity", "DueEvidence", "Embeddings", "Event", "EventEffect", "EventPage", "EventType"),
    "FailedPreconditionError",
    *("FieldViolation", "Filter", "ForgetSummary", "Identity", "Interest", "InterestCriterion"),
    *(
        "InvalidRequestError",
        "Item",
        "ItemEffect",
        "Keyword",
        "LabelInterest",
        "Link",
        "LookAlike",
        "Membership",
        "Metadata",
    ),
    *("NotFoundError", "PairEvidence"),
    *("Permission", "PortraitError", "PriceBand", "Priority", "Profile", "ProfileError"),
    *("ProfileExplanation", "PurchaseCycle", "PurchaseEvidence", "Purpose", "QueryIntent", "RankedItem", "Ranking"),
    *("RankingExplanation", "RecordSummary", "RegionCriterion", "Rejection"),
    *("Review", "ReviewAction", "ReviewQueueEntry", "ReviewQueueKind", "ReviewQueueMeasure", "ReviewQueuePage"),
    *("ReviewSegment", "ReviewTarget", "ServerError"),
    *("SessionCategory", "SessionIntent", "Shelf", "ShelfEvidence", "ShelfItem", "ShelfKind"),
    *("ShopperRecords", "SimilarityEvidence", "SummarySentence", "Tls", "Trait"),
    *("TraitCriterion", "TrendEvidence", "UnavailableError", "UpsertSummary", "ViewEvidence", "WordEffect"),
]


def test_the_public_face() -> None:
    """A name that goes breaks callers; one that comes is a promise."""
    assert sorted(portrait.client.__all__) == PUBLIC
    for name in set(PUBLIC) - {"Metadata"}:  # an alias
        assert getattr(portrait.client, name).__module__.startswith("portrait.client.")
    with pytest.raises(AttributeError, match="nothing"):
        portrait.client.nothing  # type: ignore[attr-defined] # noqa: B018


def test_events_are_read_as_they_are_sent() -> None:
    read = 0

    def log() -> Iterator[tuple[str, Event]]:
        nonlocal read
        for read in range(1, 2502):  # noqa: B007 - counted
            yield "a", Event(EventType.VIEW)

    sizes = []
    for call in calls.record_events(log()):
        sizes.append(len(call.request.events))
        assert read == sum(sizes)
    assert sizes == [1000, 1000, 501]
    assert list(calls.record_events([])) == []


def test_the_total_of_several_calls() -> None:
    one, other = Rejection(0, "price", ""), Rejection(1000, "time", "")
    parts = [RecordSummary(1, 2, (one,)), RecordSummary(3, 4, (other,))]
    assert calls.sum_record_summaries(parts) == RecordSummary(4, 6, (one, other))
    assert calls.sum_record_summaries([]) == RecordSummary(0, 0, ())


def test_both_clients_have_the_same_methods() -> None:
    def methods(client: type) -> set[str]:
        return {name for name in vars(client) if not name.startswith("_")}

    assert methods(portrait.client.Client) == methods(portrait.client.AsyncClient)
    for name in {*methods(portrait.client.Client), "__init__"} - {"close"}:
        both = [
            inspect.signature(getattr(each, name)) for each in (portrait.client.Client, portrait.client.AsyncClient)
        ]
        one, other = (
            {key: str(value) for key, value in each.parameters.items() if key != "interceptors"} for each in both
        )
        assert one == other, name
