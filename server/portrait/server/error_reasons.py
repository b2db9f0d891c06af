"""Reasons of errors for the programs of callers: all values of `google.rpc.ErrorInfo.reason` that the gateway sends.

Callers branch on these words, so a released one is never renamed. docs/operations/gateway.md explains each.
"""

from enum import StrEnum


class ErrorReason(StrEnum):
    """One cause of an error; a cause belongs to one gRPC status."""

    # INVALID_ARGUMENT
    FIELD_INVALID = "FIELD_INVALID"
    """A field breaks a limit of the contract."""
    REQUEST_UNREADABLE = "REQUEST_UNREADABLE"
    """The request has no message, or its bytes are not a message of the method."""
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    """The request has more entries in total than the contract allows."""
    METADATA_INVALID = "METADATA_INVALID"
    """A header of the call, `x-priority`, `x-caller`, `x-purpose` or `x-reason`, is invalid."""
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105 - no secret
    """The page token is malformed, or belongs to another audience."""

    # NOT_FOUND
    SHOPPER_UNKNOWN = "SHOPPER_UNKNOWN"
    """No event of the shopper is recorded, or none up to `as_of`."""
    ITEM_UNKNOWN = "ITEM_UNKNOWN"
    """The catalogue does not hold the item."""
    CATALOGUE_UNKNOWN = "CATALOGUE_UNKNOWN"
    """There is no catalogue of this name."""
    TRAIT_UNKNOWN = "TRAIT_UNKNOWN"
    """The release declares no trait of this name."""
    TRAIT_ABSENT = "TRAIT_ABSENT"
    """The trait is declared, but the release has not learnt it, or the shopper has no probability of it."""
    INTEREST_UNKNOWN = "INTEREST_UNKNOWN"
    """The profile has no interest in this node of the taxonomy."""
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"
    """A health check names a service that the gateway does not have."""

    # ALREADY_EXISTS
    EVENT_ID_TAKEN = "EVENT_ID_TAKEN"
    """The shopper has a different event with the same id."""

    # FAILED_PRECONDITION
    CONSENT_MISSING = "CONSENT_MISSING"
    """The shopper does not allow the purpose."""
    SHOPPER_FORGOTTEN = "SHOPPER_FORGOTTEN"
    """The shopper was forgotten after the event, the link or the membership."""
    IDENTITY_CONFLICT = "IDENTITY_CONFLICT"
    """The link would merge two logins, or link to an id that is itself linked; or the shopper has another household."""
    IDENTITY_FULL = "IDENTITY_FULL"
    """The login has the maximum number of links, or the household of members."""
    REVIEWS_FULL = "REVIEWS_FULL"
    """The id, or segments and all shoppers together, have the maximum number of reviews."""
    EVENT_EXPIRED = "EVENT_EXPIRED"
    """The event is older than events of its type are kept."""
    CATALOGUES_FULL = "CATALOGUES_FULL"
    """The maximum number of catalogues is reached."""
    AUDIENCE_TABLE_MISSING = "AUDIENCE_TABLE_MISSING"
    """The release has no audience table."""
    PAGE_TOKEN_EXPIRED = "PAGE_TOKEN_EXPIRED"  # noqa: S105 - no secret
    """The release or the audience table of the page token no longer exists."""
    STATISTICS_MISSING = "STATISTICS_MISSING"
    """The release lacks the statistics of profiles that labels need."""
    SENSITIVE_TOPIC = "SENSITIVE_TOPIC"
    """The request names something of a sensitive topic that the operator has not allowed for it."""
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    """The entry exceeds the limits of one batch; send it in another call."""
    CALL_TOO_EXPENSIVE = "CALL_TOO_EXPENSIVE"
    """The call needs more units than one call may have."""

    # UNAUTHENTICATED
    CREDENTIALS_MISSING = "CREDENTIALS_MISSING"
    """The call carries neither a token nor a client certificate."""
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105 - no secret
    """The token is malformed, expired, of another issuer or audience, or not signed by a known key."""

    # PERMISSION_DENIED
    SCOPE_MISSING = "SCOPE_MISSING"
    """The caller lacks the scope of the method."""
    PURPOSE_REFUSED = "PURPOSE_REFUSED"
    """The caller states a purpose that it has no right to."""
    TENANT_REFUSED = "TENANT_REFUSED"
    """The caller is of no tenant of the gateway."""

    # RESOURCE_EXHAUSTED
    GATEWAY_FULL = "GATEWAY_FULL"
    """The maximum number of calls is under way."""
    CALLER_OVER_SHARE = "CALLER_OVER_SHARE"
    """This caller uses its full share of the calls under way."""
    DEADLINE_TOO_SHORT = "DEADLINE_TOO_SHORT"
    """Calls of this method currently take longer than the time left until the deadline."""
    MODELS_BUSY = "MODELS_BUSY"
    """The queue in front of the models is full."""
    DISK_FULL = "DISK_FULL"
    """The disk of the state file is full."""

    # DATA_LOSS
    STATE_DAMAGED = "STATE_DAMAGED"
    """The state file is damaged."""

    # UNAVAILABLE
    MODELS_UNAVAILABLE = "MODELS_UNAVAILABLE"
    """Triton is down or restarts."""
    AUDIT_UNWRITABLE = "AUDIT_UNWRITABLE"
    """The audit log can't be written; nothing was done."""
    RELEASE_LOADING = "RELEASE_LOADING"
    """Triton runs, but has not loaded the release yet."""
    INDEX_UNAVAILABLE = "INDEX_UNAVAILABLE"
    """The Milvus that searches the nearest items does not answer."""
    SHARED_MEMORY_FULL = "SHARED_MEMORY_FULL"
    """The models are out of shared memory."""
    STATE_LOCKED = "STATE_LOCKED"
    """Another process holds the state file."""
    STATE_UNUSABLE = "STATE_UNUSABLE"
    """The state file can't be read or written."""
    GATEWAY_STOPPING = "GATEWAY_STOPPING"
    """The gateway is stopping."""
    WORK_CANCELLED = "WORK_CANCELLED"
    """Work that the call waited for was cancelled."""

    # DEADLINE_EXCEEDED
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    """The response was not ready by the deadline."""

    # INTERNAL
    INTERNAL = "INTERNAL"
    """A fault of the gateway."""
