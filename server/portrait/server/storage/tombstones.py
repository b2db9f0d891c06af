"""What is kept of shoppers who were forgotten: a hash of their ids, and when.

So a log that is sent again does not bring them back.
"""

import hashlib


def shopper_sha256(shopper_id: str) -> str:
    """SHA-256 of the id's UTF-8, in hexadecimal: who has the id can look for it, and nobody can read it off.

    Ids that can be guessed, such as telephone numbers, can be found out from it by trying them all.
    """
    return hashlib.sha256(shopper_id.encode()).hexdigest()
