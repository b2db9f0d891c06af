"""Hashes of shoppers' ids, by which lists of forgotten shoppers and audit logs know them.

Without a key it is the SHA-256 of the id's UTF-8, 64 hexadecimal digits: who has the id can look for it, and whoever
can guess ids can try them. With keys it is `FINGERPRINT:DIGITS`: the fingerprint of the key, then the first two digits
of that SHA-256, then an HMAC-SHA256 of it. Without the key, the two digits say only that an id is one of 256.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from portrait.features.logs.pseudonym_keys import FINGERPRINT_DIGITS, PseudonymKey, read_keys

BUCKET_DIGITS = 2
"""First digits of a SHA-256 that keyed hashes keep: a store finds the place of an id by them."""
SHOPPER_HASH = re.compile(rf"[0-9a-f]{{64}}|[0-9a-f]{{{FINGERPRINT_DIGITS}}}:[0-9a-f]{{66}}")
_COLUMN = "known shopper"
"""No column of a log: a hash is not the pseudonym that a data set by the same key has."""


class ShopperHasher:
    """Hashes ids by the current key, and finds what was hashed by older keys or without one.

    Args:
        keys: the current one first; none for plain SHA-256.
    """

    def __init__(self, keys: Sequence[PseudonymKey] = ()) -> None:
        self._keys = tuple(keys)

    @property
    def current(self) -> str | None:
        """Fingerprint of the key that new hashes are made by; None without keys."""
        return self._keys[0].fingerprint if self._keys else None

    def hash(self, shopper_id: str) -> str:
        """Hash an id."""
        return self.list_hashes(shopper_id)[0]

    def list_hashes(self, shopper_id: str) -> tuple[str, ...]:
        """List all hashes by which an id may be known: that of now first, plain SHA-256 last."""
        return self.list_hashes_of(sha256_of(shopper_id))

    def list_hashes_of(self, sha256: str) -> tuple[str, ...]:
        """List the same of an id of which only the SHA-256 is known."""
        keyed = (
            f"{key.fingerprint}:{sha256[:BUCKET_DIGITS]}{key.make_pseudonym_of_hash(sha256, _COLUMN)}"
            for key in self._keys
        )
        return (*keyed, sha256)

    def find_unknown(self, fingerprints: Iterable[str]) -> list[str]:
        """Find those of some fingerprints that are of none of the keys."""
        return sorted({*fingerprints} - {key.fingerprint for key in self._keys})


PLAIN = ShopperHasher()
"""Hashes without a key."""


def read_shopper_hasher(file: Path | None) -> ShopperHasher:
    """Read the keys of a file; None for plain SHA-256.

    Raises:
        KeyFileError: as `read_keys`.
    """
    return PLAIN if file is None else ShopperHasher(read_keys(file))


def sha256_of(shopper_id: str) -> str:
    """Return the SHA-256 of the id's UTF-8, in hexadecimal."""
    return hashlib.sha256(shopper_id.encode()).hexdigest()


def fingerprint_of(shopper_hash: str) -> str | None:
    """Return the fingerprint of the key that a hash was made by; None for plain SHA-256."""
    return shopper_hash.partition(":")[0] if ":" in shopper_hash else None


def bucket_digits_of(shopper_hash: str) -> str:
    """Return the first two digits of the SHA-256 of the id that a hash is of."""
    return shopper_hash.rpartition(":")[2][:BUCKET_DIGITS]
