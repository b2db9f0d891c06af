"""Signed tokens of callers: JSON Web Tokens (RFC 7519), verified by the public keys of their issuer."""

import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from portrait.server.access.scopes import Scope
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unauthenticated

_LEEWAY_SECONDS = 30.0
"""Difference between the clocks of issuer and gateway that is forgiven."""
_REMEMBERED = 10_000
"""Tokens that are known to be valid: verifying a signature costs more than the rest of the check."""
_SCOPES = {scope.value: scope for scope in Scope}


class KeyFileError(Exception):
    """The file of keys can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class TokenCaller:
    """The caller that a valid token names."""

    name: str
    """The claim `sub`."""
    scopes: frozenset[Scope]
    """Those of the claim `scope` that the gateway knows; a token may have others, for other services."""
    tenant: str | None
    """The claim `tenant`; None without one that is a text."""
    expires_at: float
    """Seconds since 1970."""


class TokenVerifier:
    """Verifies tokens of one issuer, for one audience.

    Args:
        issuer: what the claim `iss` must be.
        audience: what the claim `aud` must be or contain.
        keys: JSON Web Key Set (RFC 7517) of the issuer's public keys. A token names its key by `kid`; while keys are
            rotated, the set holds the old one and the new one.

    Raises:
        KeyFileError: the file is missing or holds no usable key.
    """

    def __init__(self, issuer: str, audience: str, keys: Path) -> None:
        self._issuer, self._audience = issuer, audience
        self._keys = read_keys(keys)
        self._verified: OrderedDict[str, TokenCaller] = OrderedDict()

    def verify(self, token: str) -> TokenCaller:
        """Verify signature, issuer, audience and lifetime of a token.

        Raises:
            Unauthenticated: the token is not valid; the message says why and repeats nothing of it.
        """
        known = self._verified.get(token)
        if known is None:
            known = self._read(token)
            self._verified[token] = known
            if len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)
        elif known.expires_at + _LEEWAY_SECONDS <= time.time():
            del self._verified[token]
            raise _refuse("it has expired")
        return known

    def _read(self, token: str) -> TokenCaller:
        try:
            key = self._find_key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],  # the key decides, never the token
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise _refuse("it has expired") from None
        except jwt.MissingRequiredClaimError as error:
            raise _refuse(f"the claim {error.claim} is missing") from None
        except jwt.InvalidIssuerError:
            raise _refuse("its issuer is another one") from None
        except jwt.InvalidAudienceError:
            raise _refuse("it is for another audience") from None
        except (jwt.PyJWTError, ValueError):
            raise _refuse("it is no token that a known key has signed") from None
        scope = claims.get("scope", "")
        if not isinstance(scope, str):
            raise _refuse("the claim scope is no text of scopes with spaces between")
        tenant = claims.get("tenant")
        granted = frozenset(_SCOPES[each] for each in scope.split() if each in _SCOPES)
        named = tenant if isinstance(tenant, str) else None
        return TokenCaller(str(claims["sub"]), granted, named, float(claims["exp"]))

    def _find_key(self, key_id: object) -> jwt.PyJWK:
        """Find the key that a token names; a token may leave the name out if there is one key only."""
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        found = self._keys.get(key_id) if isinstance(key_id, str) else None
        if found is None:
            raise _refuse("it names no known key")
        return found


def read_keys(path: Path) -> dict[str, jwt.PyJWK]:
    """Read the keys of a JSON Web Key Set, by their ids.

    Raises:
        KeyFileError: the file is missing, is no key set, or holds a secret in place of public keys.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise KeyFileError(f"{path} is no JSON") from None
    listed = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise KeyFileError(f'{path} is no JSON Web Key Set: an object with a list "keys" of at least one key is wanted')
    keys: dict[str, jwt.PyJWK] = {}
    for place, each in enumerate(listed):
        key_id = each.get("kid") if isinstance(each, dict) else None
        if key_id is None and len(listed) > 1:
            raise KeyFileError(f"{path}: keys[{place}] has no kid, which tells several keys apart")
        if str(key_id) in keys:
            raise KeyFileError(f"{path}: keys[{place}] has the kid of another key")
        keys[str(key_id)] = _read_key(path, place, each)
    return keys


def _read_key(path: Path, place: int, content: Any) -> jwt.PyJWK:
    if isinstance(content, dict) and content.get("kty") == "oct":
        raise KeyFileError(f"{path}: keys[{place}] is a shared secret; the public key of a pair is wanted")
    if isinstance(content, dict) and "d" in content:
        raise KeyFileError(f"{path}: keys[{place}] is a private key; the gateway needs the public one only")
    try:
        return jwt.PyJWK(content)
    except (jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError):
        raise KeyFileError(f"{path}: keys[{place}] is no key of a known kind (RSA, EC, OKP)") from None


def _refuse(why: str) -> Unauthenticated:
    return Unauthenticated(f"the token is not valid: {why}", ErrorReason.TOKEN_INVALID)
