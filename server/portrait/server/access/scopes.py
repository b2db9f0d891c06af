"""Scopes: what a caller may be allowed to do. Each method of the contract needs exactly one."""

from enum import StrEnum

from portrait.server.admission.costs import find_entry


class Scope(StrEnum):
    """A right, as access files and tokens name it."""

    READ_PROFILE = "read:profile"
    READ_RECOMMENDATION = "read:recommendation"
    READ_AUDIENCE = "read:audience"
    READ_CONSENT = "read:consent"
    READ_IDENTITY = "read:identity"
    READ_EVENT = "read:event"
    READ_ITEM = "read:item"
    ENCODE_TEXT = "encode:text"
    WRITE_EVENT = "write:event"
    WRITE_CONSENT = "write:consent"
    WRITE_IDENTITY = "write:identity"
    WRITE_ITEM = "write:item"
    EXPORT_SHOPPER = "export:shopper"
    ERASE_SHOPPER = "erase:shopper"


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
    "ConsentService/GetConsents": Scope.READ_CONSENT,
    "ConsentService/SetConsents": Scope.WRITE_CONSENT,
    "ConsentService/SetDemographics": Scope.WRITE_CONSENT,
    "ConsentService/ExportShopper": Scope.EXPORT_SHOPPER,
    "ConsentService/ForgetShopper": Scope.ERASE_SHOPPER,
}


def find_scope(method: str) -> Scope | None:
    """Find the scope that calls of a method need; None for those that everybody may call.

    These are health and reflection, which show the state of the gateway and the contract, and no data.

    Args:
        method: for example `portrait.v1.ProfileService/GetProfile`.

    Raises:
        UnlistedMethod: nobody has said which.
    """
    return find_entry(_SCOPES, method, "no scope: add it to portrait.server.access.scopes")
