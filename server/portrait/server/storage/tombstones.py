"""Tombstones of deleted shoppers: a hash of the id and the time of deletion.

So a log that is sent, or trained on, again does not bring them back.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One shopper who was forgotten."""

    shopper_sha256: str
    forgotten_at: datetime
    """UTC; what they did up to it is forgotten. The time of their latest event, where that was dated ahead."""


def shopper_sha256(shopper_id: str) -> str:
    """SHA-256 of the id's UTF-8, in hexadecimal: who has the id can look for it, and nobody can read it off.

    It has no key, so that whoever prepares a log for training needs the list and nothing else. Ids that can be guessed,
    such as telephone numbers, can be found out from it by trying them all.
    """
    return hashlib.sha256(shopper_id.encode()).hexdigest()
