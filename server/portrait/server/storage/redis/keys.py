"""The names of the keys. The part in braces decides the hash slot: all keys of a bucket are in one."""

from dataclasses import dataclass

from portrait.features.logs.shopper_hashes import bucket_digits_of, sha256_of

BUCKETS = 256
"""Groups of shoppers. More spread the load over more slots; each is asked when all shoppers are listed."""
META = "portrait:{meta}"
STATE = f"{META}:state"
"""Hash: `schema`, `identity`, and `limited` and `linked` where events may expire and ids are linked. While a migration
fills the state, it has `migrating`, the identity of its source, in place of the first two."""
DELETIONS = f"{META}:deletions"
"""Number of the last deletion of all."""
TOMBSTONE_KEYS = f"{META}:tombstone-keys"
"""Set: fingerprints of the keys by which tombstones were hashed."""
SWEEPS = f"{META}:sweeps"
"""Sorted set: numbers of buckets, by the time when expired events were last looked for."""
TRAFFIC = f"{META}:traffic"
"""Hash: `traffic`, the JSON of which release serves whom; `stamp`, another one after every choice."""
GATEWAYS = f"{META}:gateways"
"""Hash: gateway, to JSON of the releases that it has."""
GATEWAY_TIMES = f"{META}:gateway-times"
"""Sorted set: gateway, by the time of its last report in microseconds since 1970."""
REVIEWS = f"{META}:reviews"
"""Hash: target of a review for a segment or for all, to the review, both as JSON."""
REVIEW_CHANGES = f"{META}:review-changes"
"""Number of the last change of these."""
ITEMS = "portrait:{items}"
ITEM_CHANGES = f"{ITEMS}:changes"
"""Hash: catalogue and item id, to number, writer and JSON of the last change."""
ITEM_NUMBERS = f"{ITEMS}:numbers"
"""Sorted set of the same fields by number."""
ITEM_COUNTER = f"{ITEMS}:counter"
"""Number of the last change of all."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The keys of a bucket that are not of a shopper."""

    number: int

    @property
    def prefix(self) -> str:
        """The beginning of all its keys, with their hash tag."""
        return f"portrait:{{{self.number:02x}}}"

    @property
    def shoppers(self) -> str:
        """Sorted set, all scores 0: ids of the shoppers with events, in the order of their bytes."""
        return f"{self.prefix}:shoppers"

    @property
    def arrivals(self) -> str:
        """Sorted set: shopper, by the number of the last event that arrived."""
        return f"{self.prefix}:arrivals"

    @property
    def counter(self) -> str:
        """The highest number that any event or declaration of the bucket has had."""
        return f"{self.prefix}:counter"

    @property
    def tombstones(self) -> str:
        """Hash: hash of a forgotten shopper's id, keyed or plain, to number and time of the deletion."""
        return f"{self.prefix}:tombstones"

    @property
    def reviewed(self) -> str:
        """Sorted set, all scores 0: ids with reviews, in the order of their bytes."""
        return f"{self.prefix}:reviewed"

    def members(self, household_id: str) -> str:
        """Set: the members of a household of this bucket. Each of them names it."""
        return f"{self.prefix}:household:{household_id}"

    @property
    def migrated(self) -> str:
        """Set: shoppers whom a migration that is under way has brought."""
        return f"{self.prefix}:migrated"


ALL_BUCKETS = tuple(Bucket(number) for number in range(BUCKETS))


def bucket_of_hash(shopper_hash: str) -> Bucket:
    """Find the bucket of a shopper by the hash of the id: a tombstone has nothing else."""
    return ALL_BUCKETS[int(bucket_digits_of(shopper_hash), 16)]


def bucket_of(any_id: str) -> Bucket:
    """Find the bucket of a shopper, or of a household, by the id."""
    return bucket_of_hash(sha256_of(any_id))


@dataclass(frozen=True, slots=True)
class ShopperKeys:
    """The keys of one shopper, in the slot of the shopper's bucket."""

    bucket: Bucket
    shopper_id: str

    @classmethod
    def of(cls, shopper_id: str) -> "ShopperKeys":
        """Find the keys of a shopper."""
        return cls(bucket_of(shopper_id), shopper_id)

    @property
    def history(self) -> str:
        """Sorted set: events by time; a member is the number of arrival in 16 hexadecimal digits, then JSON."""
        return f"{self.bucket.prefix}:history:{self.shopper_id}"

    @property
    def events(self) -> str:
        """Hash: event id, to a digest of the event."""
        return f"{self.bucket.prefix}:events:{self.shopper_id}"

    @property
    def known(self) -> str:
        """Hash: `version`; `demographics`, as JSON; `consent:PURPOSE`, the decision in force and last withdrawal.

        `reviewed`, if there are reviews.

        Of an anonymous id: `login`, the login and the link to it, as JSON. Of a login: `links`, the anonymous ids that
        are linked to it, as JSON. Of both: `relinked`, the number of the last change of a link. What only one side has
        is no link: its change was cut short.

        Of a member of a household: `household`, the household and the membership, as JSON, under the same rule.
        """
        return f"{self.bucket.prefix}:known:{self.shopper_id}"

    @property
    def lock(self) -> str:
        """Token of the call that changes the links or the household of the shopper, a login."""
        return f"{self.bucket.prefix}:lock:{self.shopper_id}"

    @property
    def consents(self) -> str:
        """List: all that the shopper said, as JSON, the latest last."""
        return f"{self.bucket.prefix}:consents:{self.shopper_id}"

    @property
    def reviews(self) -> str:
        """Hash: target of a review, to the review, both as JSON."""
        return f"{self.bucket.prefix}:reviews:{self.shopper_id}"

    @property
    def all(self) -> tuple[str, str, str, str]:
        """The keys of what the shopper did and said."""
        return self.history, self.events, self.known, self.consents
