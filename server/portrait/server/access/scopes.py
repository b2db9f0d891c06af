"""Scopes: what a caller may be allowed to do. Each method of the contract needs exactly one; purposes have others."""

from enum import StrEnum

from portrait.server.admission.costs import find_entry
from portrait.server.consent.consents import Purpose


class Scope(StrEnum):
    """A right, as access files and tokens name it."""

    READ_PROFILE = "read:profile"
    READ_RECOMMENDATION = "read:recommendation"
    READ_AUDIENCE = "read:audience"
    READ_CONSENT = "read:consent"
    READ_IDENTITY = "read:identity"
    READ_HOUSEHOLD = "read:household"
    READ_EVENT = "read:event"
    READ_ITEM = "read:item"
    READ_REVIEW = "read:review"
    ENCODE_TEXT = "encode:text"
    WRITE_EVENT = "write:event"
    WRITE_CONSENT = "write:consent"
    WRITE_IDENTITY = "write:identity"
    WRITE_HOUSEHOLD = "write:household"
    WRITE_ITEM = "write:item"
    WRITE_REVIEW = "write:review"
    EXPORT_SHOPPER = "export:shopper"
    ERASE_SHOPPER = "erase:shopper"
    FOR_PERSONALISATION = "purpose:personalisation"
    FOR_ADVERTISING = "purpose:advertising"
    FOR_RISK = "purpose:risk"
    FOR_DEMOGRAPHICS = "purpose:demographics"


PURPOSE_SCOPES = {Scope(f"purpose:{purpose}"): purpose for purpose in Purpose}
"""The scopes to read for a purpose, in place of methods."""

_SCOPES = {
    "ProfileService/GetProfile": Scope.READ_PROFILE,
    "ProfileService/BatchGetProfiles": Scope.READ_PROFILE,
    "ExplanationService/ExplainProfile": Scope.READ_PROFILE,
    "ExplanationService/ExplainRecommendation": Scope.READ_RECOMMENDATION,
    "RecommendationService/Recommend": Scope.READ_RECOMMENDATION,
    "RecommendationService/Rank": Scope.READ_RECOMMENDATION,
    "RecommendationService/GetShelf": Scope.READ_RECOMMENDATION,
    "AudienceService/FindAudience": Scope.READ_AUDIENCE,
    "AudienceService/EstimateAudience": Scope.READ_AUDIENCE,
    "CatalogueService/GetItem": Scope.READ_ITEM,
    "CatalogueService/UpsertItems": Scope.WRITE_ITEM,
    "CatalogueService/DeleteItems": Scope.WRITE_ITEM,
    "TextService/EncodeTexts": Scope.ENCODE_TEXT,
    "TextService/EncodeTextStream": Scope.ENCODE_TEXT,
    "EventService/ListEvents": Scope.READ_EVENT,
    "EventService/RecordEvents": Scope.WRITE_EVENT,
    "IdentityService/GetIdentity": Scope.READ_IDENTITY,
    "IdentityService/LinkShoppers": Scope.WRITE_IDENTITY,
    "IdentityService/UnlinkShoppers": Scope.WRITE_IDENTITY,
    "IdentityService/GetHousehold": Scope.READ_HOUSEHOLD,
    "IdentityService/JoinHousehold": Scope.WRITE_HOUSEHOLD,
    "IdentityService/LeaveHousehold": Scope.WRITE_HOUSEHOLD,
    "ReviewService/ListReviews": Scope.READ_REVIEW,
    "ReviewService/ListReviewQueue": Scope.READ_REVIEW,
    "ReviewService/SetReview": Scope.WRITE_REVIEW,
    "ReviewService/RemoveReview": Scope.WRITE_REVIEW,
    "ConsentService/GetConsents": Scope.READ_CONSENT,
    "ConsentService/SetConsents": Scope.WRITE_CONSENT,
    "ConsentService/SetDemographics": Scope.WRITE_CONSENT,
    "ConsentService/ExportShopper": Scope.EXPORT_SHOPPER,
    "ConsentService/ForgetShopper": Scope.ERASE_SHOPPER,
}
READING_SCOPES = frozenset({Scope.READ_PROFILE, Scope.READ_RECOMMENDATION, Scope.READ_AUDIENCE})
"""The scopes of methods that use shoppers' data for purposes."""


def find_scope(method: str) -> Scope | None:
    """Find the scope that calls of a method need; None for those that everybody may call.

    These are health and reflection, which show the state of the gateway and the contract, and no data.

    Args:
        method: for example `portrait.v1.ProfileService/GetProfile`.

    Raises:
        UnlistedMethod: nobody has said which.
    """
    return find_entry(_SCOPES, method, "no scope: add it to portrait.server.access.scopes")
