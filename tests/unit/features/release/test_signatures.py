"""Signed documents and the keys that sign them: anything but the right key and the whole document is refused."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as some

from portrait.features.release.archive.signatures import (
    PAYLOAD_TYPE,
    SignatureError,
    is_signed,
    key_id,
    open_envelope,
    read_sign_key,
    read_verify_keys,
    seal,
)

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
PUBLIC = KEY.public_key()


def private_pem(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def public_pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@given(some.binary(max_size=300))
def test_what_is_sealed_is_opened(payload: bytes) -> None:
    signed, unsigned = seal(payload, KEY), seal(payload, None)
    assert open_envelope(signed, [PUBLIC]) == open_envelope(signed, [OTHER.public_key(), PUBLIC]) == payload
    assert open_envelope(signed, ()) == open_envelope(unsigned, ()) == payload
    assert (is_signed(signed), is_signed(unsigned)) == (True, False)
    assert seal(payload, KEY) == signed


@given(some.binary(max_size=100), some.data())
def test_no_changed_document_is_opened(payload: bytes, data: some.DataObject) -> None:
    envelope = json.loads(seal(payload, KEY))
    changed = data.draw(some.binary(max_size=100).filter(lambda other: other != payload))
    envelope["payload"] = base64.b64encode(changed).decode()
    with pytest.raises(SignatureError, match="was changed after it was signed"):
        open_envelope(json.dumps(envelope).encode(), [PUBLIC])


@given(some.binary(max_size=200))
def test_what_is_no_envelope_is_refused(content: bytes) -> None:
    with pytest.raises(SignatureError):
        open_envelope(content, [PUBLIC])


def test_the_envelope_is_that_of_dsse() -> None:
    """Anybody's tools for DSSE verify it: the signed bytes are those of its specification."""
    envelope = json.loads(seal(b"hello world", KEY))
    assert envelope["payloadType"] == PAYLOAD_TYPE
    assert envelope["payload"] == base64.b64encode(b"hello world").decode()
    [signature] = envelope["signatures"]
    assert signature["keyid"] == key_id(PUBLIC)
    signed = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} 11 hello world".encode()
    PUBLIC.verify(base64.b64decode(signature["sig"]), signed)


def test_a_signature_of_another_kind_of_document_is_none() -> None:
    signed = b"DSSEv1 10 text/plain 5 hello"
    envelope = json.loads(seal(b"hello", KEY)) | {"payloadType": "text/plain"}
    envelope["signatures"][0]["sig"] = base64.b64encode(KEY.sign(signed)).decode()
    with pytest.raises(SignatureError, match="document of another kind"):
        open_envelope(json.dumps(envelope).encode(), [PUBLIC])


def test_the_name_of_an_accepted_key_is_no_signature() -> None:
    envelope = json.loads(seal(b"hello", OTHER))
    with pytest.raises(SignatureError, match=f"by the key {key_id(OTHER.public_key())}, which is not accepted"):
        open_envelope(json.dumps(envelope).encode(), [PUBLIC])
    envelope["signatures"][0]["keyid"] = key_id(PUBLIC)
    with pytest.raises(SignatureError, match="does not fit"):
        open_envelope(json.dumps(envelope).encode(), [PUBLIC])


def test_keys_are_read(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(private_pem(KEY))
    assert key_id(read_sign_key(path).public_key()) == key_id(PUBLIC)
    path.write_bytes(b"# of this year\n" + public_pem(KEY) + b"# of the next\n" + public_pem(OTHER))
    assert [key_id(key) for key in read_verify_keys(path)] == [key_id(PUBLIC), key_id(OTHER.public_key())]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no private key"),
        (public_pem(KEY), "no private key"),
        (private_pem(ec.generate_private_key(ec.SECP256R1())), "no Ed25519 key"),
        (private_pem(KEY, BestAvailableEncryption(b"password")), "is encrypted"),
        (b"x" * 100_000, "has 100000 bytes; the limit is"),
    ],
)
def test_what_is_no_key_to_sign_with_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(SignatureError, match=f"key.pem.*{said}"):
        read_sign_key(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no public key"),
        (private_pem(KEY), "no public key"),
        (public_pem(ec.generate_private_key(ec.SECP256R1())), "not Ed25519"),
        (public_pem(KEY).replace(b"MCow", b"AAAA"), "can't be read"),
        (public_pem(KEY) + public_pem(ec.generate_private_key(ec.SECP256R1())), "not Ed25519"),
    ],
)
def test_what_is_no_key_to_verify_with_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(SignatureError, match=f"key.pem.*{said}"):
        read_verify_keys(path)


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    for read in (read_sign_key, read_verify_keys):
        with pytest.raises(SignatureError, match=r"missing\.pem can't be read"):
            read(tmp_path / "missing.pem")
