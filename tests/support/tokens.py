"""Keys and signed tokens for tests."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ISSUER, AUDIENCE = "https://login.shop.example", "portrait"
_ALGORITHMS = get_default_algorithms()


class SigningKey:
    """A private key of an issuer.

    Args:
        key_id: its `kid`.
        algorithm: EdDSA, ES256 or RS256.
    """

    def __init__(self, key_id: str, algorithm: str = "EdDSA") -> None:
        self.key_id, self.algorithm = key_id, algorithm
        self.private: Any = {
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
        }[algorithm]()

    @property
    def public(self) -> dict[str, Any]:
        """The public key as an entry of a key set."""
        content: dict[str, Any] = json.loads(_ALGORITHMS[self.algorithm].to_jwk(self.private.public_key()))
        return content | {"kid": self.key_id, "alg": self.algorithm}

    def sign(self, scope: str = "", **claims: Any) -> str:
        """Sign a token that is valid for an hour; claims override those of a good one, None leaves one out."""
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "storefront", "exp": time.time() + 3600.0, "scope": scope}
        chosen = {name: value for name, value in (good | claims).items() if value is not None}
        return jwt.encode(chosen, self.private, self.algorithm, headers={"kid": self.key_id})


def write_keys(path: Path, *keys: SigningKey) -> Path:
    """Write the key set of some keys."""
    path.write_text(json.dumps({"keys": [key.public for key in keys]}), encoding="utf-8")
    return path
