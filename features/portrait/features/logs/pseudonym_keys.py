"""Keys of pseudonyms: a TOML file, by which ids become keyed hashes that nobody without the file can guess.

A new key gets a new id and becomes the current one:

    current = "2026-11"

    [keys]
    2026-11 = "64 hexadecimal digits or more: openssl rand -hex 32"
"""

import hashlib
import hmac
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

MIN_SECRET_BYTES = 32
FINGERPRINT_DIGITS = 16
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FIELDS = {"current", "keys"}


class KeyFileError(Exception):
    """A key file is missing or malformed, or lacks a key; the message quotes no secret."""


@dataclass(frozen=True)
class PseudonymKey:
    """One key of a key file. A picture of it in a message or a log never shows the secret."""

    id: str
    secret: bytes = field(repr=False)

    def make_pseudonym(self, identifier: str, column: str = "shopper_id") -> str:
        """Make the pseudonym of an id, 64 hexadecimal digits.

        Args:
            identifier: the id, without blanks around it.
            column: the column that it stands in; equal ids of two columns have different pseudonyms.
        """
        return self.make_pseudonym_of_hash(hashlib.sha256(identifier.encode()).hexdigest(), column)

    def make_pseudonym_of_hash(self, sha256: str, column: str) -> str:
        """Make the pseudonym of an id of which only the SHA-256 is known, in hexadecimal digits."""
        return hmac.new(self.secret, f"{column}:{sha256}".encode(), hashlib.sha256).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """Tells this secret from others, whatever its id, and tells nothing of it: 16 hexadecimal digits."""
        return hmac.new(self.secret, b"fingerprint", hashlib.sha256).hexdigest()[:FINGERPRINT_DIGITS]


def read_keys(file: Path, current: str | None = None) -> tuple[PseudonymKey, ...]:
    """Read all keys of a key file, the current one first.

    Args:
        file: the key file.
        current: id of the key that comes first; None for the one that the file names.

    Raises:
        KeyFileError: the file is missing or malformed, or has no such key.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise KeyFileError(f"{file} can't be read as TOML: {error}") from error
    if unknown := sorted(content.keys() - _FIELDS):
        raise KeyFileError(f"{file}: there is no field {unknown[0]!r}; there are {', '.join(sorted(_FIELDS))}")
    keys = content.get("keys")
    if not isinstance(keys, dict) or not keys:
        raise KeyFileError(f"{file}: 'keys' must be a table of at least one id and its secret")
    secrets = {name: _parse_secret(file, name, secret) for name, secret in keys.items()}
    if len(set(secrets.values())) < len(secrets):
        raise KeyFileError(f"{file}: 'keys' has the same secret twice; make a new one by `openssl rand -hex 32`")
    wanted = content.get("current") if current is None else current
    if not isinstance(wanted, str) or wanted not in secrets:
        raise KeyFileError(f"{file}: 'current' must name one of the keys {', '.join(secrets)}, not {wanted!r}")
    ordered = sorted(secrets, key=lambda name: name != wanted)
    return tuple(PseudonymKey(name, secrets[name]) for name in ordered)


def _parse_secret(file: Path, name: str, secret: Any) -> bytes:
    """Parse a secret; a message about it never quotes it."""
    if not _KEY_ID.fullmatch(name):
        raise KeyFileError(f"{file}: the id {name!r} of a key must be 1 to 64 letters, digits, _ and -")
    try:
        parsed = bytes.fromhex(secret)
    except (TypeError, ValueError):
        parsed = b""
    if len(parsed) < MIN_SECRET_BYTES:
        raise KeyFileError(
            f"{file}: the secret of the key {name!r} must be {2 * MIN_SECRET_BYTES} hexadecimal digits or more; make "
            "one by `openssl rand -hex 32`"
        )
    return parsed
