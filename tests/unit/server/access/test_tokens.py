"""Tokens: only what a known key has signed, for this gateway and this hour, names a caller."""

import base64
import json
import time
from pathlib import Path

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tokens import AUDIENCE, ISSUER, SigningKey, write_keys

from portrait.server.access.scopes import Scope
from portrait.server.access.tokens import KeyFileError, TokenVerifier, read_keys
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unauthenticated

KEY = SigningKey("first")


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> TokenVerifier:
    return TokenVerifier(ISSUER, AUDIENCE, write_keys(tmp_path_factory.mktemp("keys") / "jwks.json", KEY))


def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as raised:
        verifier.verify(token)
    assert raised.value.reason is ErrorReason.TOKEN_INVALID
    return str(raised.value)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_signed_token_names_its_caller_and_scopes(tmp_path: Path, algorithm: str) -> None:
    key = SigningKey("first", algorithm)
    verifier = TokenVerifier(ISSUER, AUDIENCE, write_keys(tmp_path / "jwks.json", key))
    for _ in range(2):  # once verified, once remembered
        caller = verifier.verify(key.sign("read:profile write:event delete:universe"))
        assert caller.name == "storefront"
        assert caller.scopes == {Scope.READ_PROFILE, Scope.WRITE_EVENT}


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": time.time() - 60.0}, "it has expired"),
        ({"exp": None}, "the claim exp is missing"),
        ({"sub": None}, "the claim sub is missing"),
        ({"iss": None}, "the claim iss is missing"),
        ({"aud": None}, "the claim aud is missing"),
        ({"iss": "https://other.example"}, "its issuer is another one"),
        ({"aud": "billing"}, "it is for another audience"),
        ({"nbf": time.time() + 86_400.0}, "no token that a known key has signed"),
        ({"scope": ["read:profile"]}, "the claim scope is no text"),
    ],
)
def test_a_token_with_wrong_claims_is_refused(verifier: TokenVerifier, claims: dict[str, object], why: str) -> None:
    assert why in refusal(verifier, KEY.sign(**claims))


def test_a_remembered_token_expires(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    token = KEY.sign("read:profile")
    verifier.verify(token)
    expired = time.time() + 7200.0
    monkeypatch.setattr("portrait.server.access.tokens.time.time", lambda: expired)
    assert "it has expired" in refusal(verifier, token)


def test_a_stranger_who_names_a_known_key_is_refused(verifier: TokenVerifier) -> None:
    assert "known key" in refusal(verifier, SigningKey("first").sign("erase:shopper"))
    assert "names no known key" in refusal(verifier, SigningKey("second").sign("erase:shopper"))


def test_the_token_does_not_choose_its_algorithm(verifier: TokenVerifier) -> None:
    """Two forgeries of old: no signature at all, and the public key as the secret of a symmetric one."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "storefront", "exp": time.time() + 3600.0, "scope": "read:profile"}
    headers = {"kid": "first"}
    secret = base64.urlsafe_b64decode(KEY.public["x"] + "==")
    for forged in (jwt.encode(claims, None, "none", headers), jwt.encode(claims, secret, "HS256", headers)):
        assert "known key" in refusal(verifier, forged)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | st.just("a.b.c"))
def test_what_is_no_token_is_refused(verifier: TokenVerifier, text: str) -> None:
    assert "known key" in refusal(verifier, text)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_token_with_any_changed_byte_is_refused(verifier: TokenVerifier, place: int, change: int) -> None:
    parts = [bytearray(base64.urlsafe_b64decode(part + "==")) for part in KEY.sign("read:profile").split(".")]
    part = parts[1 + place % 2]
    part[place % len(part)] ^= change
    refusal(verifier, ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts))


def test_several_keys_are_known_while_one_replaces_the_other(tmp_path: Path) -> None:
    old, new = SigningKey("old"), SigningKey("new", "ES256")
    verifier = TokenVerifier(ISSUER, AUDIENCE, write_keys(tmp_path / "jwks.json", old, new))
    assert verifier.verify(old.sign()).name == verifier.verify(new.sign()).name == "storefront"


SECRET = {"kty": "oct", "k": "c2VjcmV0", "kid": "first"}
PRIVATE = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.private))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON Web Key Set"),
        ('{"keys": []}', "is no JSON Web Key Set"),
        (json.dumps({"keys": [SECRET]}), "keys[0] is a shared secret"),
        (json.dumps({"keys": [PRIVATE]}), "keys[0] is a private key"),
        (json.dumps({"keys": [KEY.public, {"kty": "new", "kid": "second"}]}), "keys[1] is no key of a known kind"),
        (json.dumps({"keys": [KEY.public, 7]}), "keys[1] has no kid"),
        (json.dumps({"keys": [7]}), "keys[0] is no key of a known kind"),
        (json.dumps({"keys": [KEY.public, KEY.public]}), "keys[1] has the kid of another key"),
    ],
)
def test_an_unusable_key_file_says_which_key(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(KeyFileError) as raised:
        read_keys(path)
    assert str(raised.value).startswith(str(path))
    assert why in str(raised.value)


def test_a_missing_key_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        read_keys(tmp_path / "jwks.json")
