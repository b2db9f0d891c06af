"""Keys that sign releases, made by OpenSSL as the documentation says."""

import shutil
import subprocess
from pathlib import Path

import pytest


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a private key, `<name>.pem`, and its public key, `<name>.pub`; skips the test without OpenSSL."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl: it comes with the package of this name")
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public
