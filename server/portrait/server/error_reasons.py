"""Why a call fails, as callers' programs read it: the closed list of `google.rpc.ErrorInfo.reason`.

Callers branch on these words, so none is renamed once it is released. docs/operations/gateway.md lists each of them.
"""

from enum import StrEnum


class ErrorReason(StrEnum):
    """One cause of an error; a cause belongs to one gRPC status."""

    # INVALID_ARGUMENT
    FIELD_INVALID = "FIELD_INVALID"
    """A field breaks a limit of the contract."""
    REQUEST_UNREADABLE = "REQUEST_UNREADABLE"
    """The bytes are no message of the method, or there is no message."""
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    """The request has more entries in all than one may have."""
    METADATA_INVALID = "METADATA_INVALID"
    """A header of the call, `x-priority` or `x-caller`, is not what it may be."""
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105 - no secret
    """The page token is none, or of another audience."""

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
    """The trait is declared, but there is no probability of it."""
    INTEREST_UNKNOWN = "INTEREST_UNKNOWN"
    """The profile has no interest in this node of the taxonomy."""
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"
    """Health is asked for a service that the gateway does not have."""

    # ALREADY_EXISTS
    EVENT_ID_TAKEN = "EVENT_ID_TAKEN"
    """The shopper has another event of the same id."""

    # FAILED_PRECONDITION
    CONSENT_MISSING = "CONSENT_MISSING"
    """The shopper does not allow the purpose."""
    SHOPPER_FORGOTTEN = "SHOPPER_FORGOTTEN"
    """The shopper was forgotten after the event."""
    CATALOGUES_FULL = "CATALOGUES_FULL"
    """There are as many catalogues as there may be."""
    AUDIENCE_TABLE_MISSING = "AUDIENCE_TABLE_MISSING"
    """The release has no audience table."""
    PAGE_TOKEN_EXPIRED = "PAGE_TOKEN_EXPIRED"  # noqa: S105 - no secret
    """The release or the audience table of the page token is gone."""
    STATISTICS_MISSING = "STATISTICS_MISSING"
    """The release has no statistics of profiles, which labels need."""
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    """The entry does not fit into the batch any more; it is to be asked for in another call."""
    CALL_TOO_EXPENSIVE = "CALL_TOO_EXPENSIVE"
    """The call is more work than one call may be."""

    # RESOURCE_EXHAUSTED
    GATEWAY_FULL = "GATEWAY_FULL"
    """As many calls are under way as there is room for."""
    CALLER_OVER_SHARE = "CALLER_OVER_SHARE"
    """This caller has its share of the calls that are under way."""
    DEADLINE_TOO_SHORT = "DEADLINE_TOO_SHORT"
    """Such calls take longer at present than the time left."""
    MODELS_BUSY = "MODELS_BUSY"
    """The queue before the models is full."""
    DISK_FULL = "DISK_FULL"
    """The disk of the state file is full."""

    # DATA_LOSS
    STATE_DAMAGED = "STATE_DAMAGED"
    """The state file is damaged."""

    # UNAVAILABLE
    MODELS_UNAVAILABLE = "MODELS_UNAVAILABLE"
    """Triton is down or restarts."""
    RELEASE_LOADING = "RELEASE_LOADING"
    """Triton runs, but has not loaded the release, or not yet."""
    SHARED_MEMORY_FULL = "SHARED_MEMORY_FULL"
    """The models are out of shared memory."""
    STATE_LOCKED = "STATE_LOCKED"
    """Another process holds the state file."""
    STATE_UNUSABLE = "STATE_UNUSABLE"
    """The state file can't be read or written."""
    GATEWAY_STOPPING = "GATEWAY_STOPPING"
    """The gateway ends."""
    WORK_CANCELLED = "WORK_CANCELLED"
    """A part that the call waited for was cancelled."""

    # DEADLINE_EXCEEDED
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    """The answer was not there in time."""

    # INTERNAL
    INTERNAL = "INTERNAL"
    """A fault of the gateway."""
