"""Certificates for tests, made by `openssl`."""

import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"


def openssl(folder: Path, *arguments: str) -> None:
    """Run it in a folder."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder: Path, name: str = "ca") -> None:
    """Make NAME.pem and NAME.key of an authority."""
    openssl(folder, "req", "-x509", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")


def make_certificate(folder: Path, name: str, authority: str = "ca") -> None:
    """Make NAME.pem and NAME.key of a server or a caller, signed by an authority."""
    openssl(
        folder,
        *("req", "-x509", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"),
        *("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-addext", _NAMES),
    )


def make_expired_certificate(folder: Path, name: str) -> None:
    """Make NAME.pem and NAME.key, which was valid until yesterday."""
    openssl(folder, "req", "-new", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    signed = ("-req", "-in", f"{name}.csr", "-signkey", f"{name}.key", "-days", "-1", "-out", f"{name}.pem")
    openssl(folder, "x509", *signed)
