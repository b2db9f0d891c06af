"""Everything that is recorded of a shopper, as an export brings it."""

from dataclasses import dataclass

from portrait.client.message_reader import read_message
from portrait.client.messages import read_consent_records, read_event
from portrait.client.profiles import Demographics, read_demographics
from portrait.client.results import ConsentRecord, Event, Link, Membership
from portrait.client.reviews import Review, read_reviews
from portrait.v1 import consent_service_pb2


@dataclass(frozen=True, slots=True)
class ShopperRecords:
    """A part of what is recorded of a shopper; all parts together are everything."""

    consents: tuple[ConsentRecord, ...]
    demographics: Demographics | None
    """In the first part of an id; None if nothing is declared."""
    events: tuple[Event, ...]
    """The oldest first."""
    shopper_id: str = ""
    """The id under which all of the part is recorded, except for the links."""
    links: tuple[Link, ...] = ()
    """The links of anonymous ids to the shopper's login; in the first part."""
    reviews: tuple[Review, ...] = ()
    """The reviews for the id; in its first part."""
    household: Membership | None = None
    """The membership of the id in a household, in its first part; None if there is none."""


def read_shopper_records(message: consent_service_pb2.ExportShopperResponse) -> ShopperRecords:
    """Read a part of an export; what only a later contract knows is left out."""
    return ShopperRecords(
        read_consent_records(message.consents),
        read_demographics(message.demographics) if message.HasField("demographics") else None,
        tuple(event for each in message.events if (event := read_event(each)) is not None),
        message.shopper_id,
        tuple(map(read_message, message.links)),
        read_reviews(message.reviews),
        read_message(message.household) if message.HasField("household") else None,
    )
