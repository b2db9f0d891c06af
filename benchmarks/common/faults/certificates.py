"""Certificates of an authority that lives as long as a run, replaced while they are used."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificates:
    """PEM files of an authority and of a server's certificate that it signed."""

    folder: Path

    @property
    def authority(self) -> Path:
        """Certificate of the authority."""
        return self.folder / "authority.pem"

    @property
    def certificate(self) -> Path:
        """Certificate of the server."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """Private key of the server."""
        return self.folder / "server.key"

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make an authority and a server's certificate in a folder."""
        made = cls(folder)
        _run_openssl(
            folder, "-x509", *_KEY, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=authority"
        )
        made.replace()
        return made

    def replace(self) -> None:
        """Replace the certificate and key of the server, one file after the other as tools do."""
        _run_openssl(
            self.folder,
            *("-x509", *_KEY, "-keyout", "next.key", "-out", "next.pem", "-subj", "/CN=server"),
            *("-CA", "authority.pem", "-CAkey", "authority.key"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        )
        os.replace(self.folder / "next.pem", self.certificate)
        os.replace(self.folder / "next.key", self.key)


def _run_openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", "req", *arguments], cwd=folder, check=True, capture_output=True)
