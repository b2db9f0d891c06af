"""Signed documents: a payload and its Ed25519 signatures in one file, as DSSE (Dead Simple Signing Envelope) has it.

One file, so that no reader meets a new document with an old signature. Keys are PEM files as OpenSSL makes them:

    openssl genpkey -algorithm ed25519 -out sign.pem
    openssl pkey -in sign.pem -pubout -out verify.pem
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import Base64Bytes, ConfigDict, Field, TypeAdapter, ValidationError

from portrait.features.files.regular_files import read_regular_file
from portrait.features.release.manifest import ReleaseError

PAYLOAD_TYPE = "application/vnd.portrait.bundle+json"
"""Part of what is signed: a signature of a document of another kind is none of a bundle."""
_MAX_KEY_BYTES = 64 << 10
_PUBLIC_KEY = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class SignatureError(ReleaseError):
    """A key can't be used, or a document is not signed by an accepted key."""


@dataclass(frozen=True)
class _Signature:
    __pydantic_config__ = ConfigDict(extra="ignore")

    sig: Base64Bytes
    keyid: Annotated[str, Field(max_length=200)] = ""
    """A hint for messages; no signature is trusted for it."""


@dataclass(frozen=True)
class _Envelope:
    __pydantic_config__ = ConfigDict(extra="ignore")

    payloadType: str  # noqa: N815 - DSSE's name
    payload: Base64Bytes
    signatures: list[_Signature] = field(default_factory=list)


_READER = TypeAdapter(_Envelope)


def read_sign_key(path: Path) -> Ed25519PrivateKey:
    """Read the private key that signs.

    Args:
        path: PEM file, without a password.

    Raises:
        SignatureError: it can't be read, or is no such key.
    """
    try:
        key = load_pem_private_key(_read_key_file(path), password=None)
    except TypeError as error:
        raise SignatureError(f"{path} is encrypted: `openssl pkey` writes it without a password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{path} holds no private key in PEM form") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"{path} holds no Ed25519 key: make one by `openssl genpkey -algorithm ed25519`")
    return key


def read_verify_keys(path: Path) -> tuple[Ed25519PublicKey, ...]:
    """Read the public keys whose signatures are accepted.

    Args:
        path: PEM file of one key, or of several one after the other.

    Raises:
        SignatureError: it can't be read, or holds no key, or one of another kind.
    """
    keys = []
    for block in _PUBLIC_KEY.findall(_read_key_file(path)):
        try:
            key = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SignatureError(f"{path} holds a public key that can't be read") from error
        if not isinstance(key, Ed25519PublicKey):
            raise SignatureError(f"{path} holds a public key that is not Ed25519")
        keys.append(key)
    if not keys:
        raise SignatureError(f"{path} holds no public key in PEM form: `openssl pkey -in KEY -pubout` writes it")
    return tuple(keys)


def seal(payload: bytes, key: Ed25519PrivateKey | None) -> bytes:
    """Put a payload into an envelope.

    Args:
        payload: the document.
        key: signs it; None for an envelope without a signature.
    """
    signatures = []
    if key is not None:
        signatures.append(_Signature(key.sign(_signed(payload)), key_id(key.public_key())))
    envelope = _Envelope(PAYLOAD_TYPE, payload, signatures)
    return _READER.dump_json(envelope) + b"\n"


def open_envelope(envelope: bytes, keys: Sequence[Ed25519PublicKey]) -> bytes:
    """Return the payload of an envelope that one of the keys has signed.

    Args:
        envelope: from `seal`.
        keys: those that are accepted; with none, signatures are not looked at.

    Raises:
        SignatureError: it is no envelope, or no accepted key has signed it.
    """
    parsed = _parse(envelope)
    if keys and not parsed.signatures:
        raise SignatureError("it is not signed")
    signed = _signed(parsed.payload)
    if keys and not any(_is_valid(each.sig, signed, key) for each in parsed.signatures for key in keys):
        raise SignatureError(_explain(parsed, keys))
    return parsed.payload


def is_signed(envelope: bytes) -> bool:
    """Tell whether there is a signature, valid or not.

    Raises:
        SignatureError: it is no envelope.
    """
    return bool(_parse(envelope).signatures)


def key_id(key: Ed25519PublicKey) -> str:
    """Name a key: the beginning of the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _parse(envelope: bytes) -> _Envelope:
    try:
        parsed = _READER.validate_json(envelope)
    except ValidationError as error:
        raise SignatureError("it is no signed document") from error
    if parsed.payloadType != PAYLOAD_TYPE:
        raise SignatureError("it is a document of another kind")
    return parsed


def _signed(payload: bytes) -> bytes:
    """The bytes that are signed: DSSE's pre-authentication encoding of type and payload."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _is_valid(signature: bytes, signed: bytes, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _explain(envelope: _Envelope, keys: Sequence[Ed25519PublicKey]) -> str:
    named, accepted = {each.keyid for each in envelope.signatures}, {key_id(key) for key in keys}
    if named & accepted:
        return "its signature does not fit: it was changed after it was signed"
    shown = ascii(", ".join(sorted(named)))[1:-1] or "unknown"
    return f"it is signed by the key {shown}, which is not accepted; accepted: {', '.join(sorted(accepted))}"


def _read_key_file(path: Path) -> bytes:
    try:
        return read_regular_file(path, None, _MAX_KEY_BYTES)
    except OSError as error:
        raise SignatureError(f"the key {path} can't be read: {error}") from error
