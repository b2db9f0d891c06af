"""Files of TLS: what is wrong with them is told, and a change of them is seen."""

import io
import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from support.certificates import make_authority, make_certificate, make_expired_certificate, openssl

from portrait.server.rpc.tls import Certificates, TlsError, load_certificates
from portrait.server.settings import Settings


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files and bad ones."""
    folder = tmp_path_factory.mktemp("tls")
    make_authority(folder)
    for name in ("server", "other"):
        make_certificate(folder, name)
    make_expired_certificate(folder, "expired")
    small = ("-newkey", "rsa:1024", "-nodes", "-keyout", "small.key", "-out", "small.pem", "-subj", "/CN=small")
    openssl(folder, "req", "-x509", *small)
    openssl(folder, "x509", "-in", "server.pem", "-outform", "der", "-out", "server.der")
    openssl(folder, "ec", "-in", "server.key", "-outform", "der", "-out", "key.der")
    openssl(folder, "ec", "-in", "server.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key")
    openssl(folder, "pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:secret", "-out", "locked8.key")
    for name in ("server.pem", "server.key", "ca.pem"):
        (folder / f"half-{name}").write_bytes((folder / name).read_bytes()[:-60])
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    chain = (folder / "server.pem").read_text(encoding="utf-8") + (folder / "ca.pem").read_text(encoding="utf-8")
    (folder / "chain.pem").write_text(f"Zertifikat für uns\n{chain}", encoding="utf-8")
    (folder / "half-chain.pem").write_text(chain[:-60], encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("certificate", "key", "authorities", "told"),
    [
        ("missing", "server.key", None, "tls_certificate: {}/missing: No such file or directory"),
        ("server.pem", "missing", None, "tls_key: {}/missing: No such file or directory"),
        ("server.pem", "server.key", "missing", "tls_client_ca: {}/missing: No such file or directory"),
        ("folder", "server.key", None, "tls_certificate: {}/folder: Is a directory"),
        ("server.pem", "other.key", None, "tls_key: {0}/other.key is not the key of the certificate in {0}/server.pem"),
        ("server.pem", "ca.key", "ca.pem", "tls_key: {0}/ca.key is not the key of the certificate in {0}/server.pem"),
        ("server.der", "server.key", None, "tls_certificate: {}/server.der holds no certificate in PEM form"),
        ("empty", "server.key", None, "tls_certificate: {}/empty holds no certificate in PEM form"),
        ("server.key", "server.pem", None, "tls_certificate: {}/server.key holds a private key"),
        ("server.pem", "key.der", None, "tls_key: {}/key.der holds no private key in PEM form"),
        ("server.pem", "empty", None, "tls_key: {}/empty holds no private key in PEM form"),
        ("server.pem", "server.pem", None, "tls_key: {}/server.pem holds a certificate"),
        ("server.pem", "locked.key", None, "tls_key: {}/locked.key is protected by a passphrase"),
        ("server.pem", "locked8.key", None, "tls_key: {}/locked8.key is protected by a passphrase"),
        ("half-server.pem", "server.key", None, "tls_certificate: {}/half-server.pem can't be read as PEM"),
        ("half-chain.pem", "server.key", None, "tls_certificate: {}/half-chain.pem can't be read as PEM"),
        ("server.pem", "half-server.key", None, "tls_key: {}/half-server.key can't be read as PEM"),
        ("server.pem", "server.key", "ca.key", "tls_client_ca: {}/ca.key holds a private key"),
        ("server.pem", "server.key", "half-ca.pem", "tls_client_ca: {}/half-ca.pem can't be read as PEM"),
    ],
)
def test_what_is_wrong_is_told_with_setting_and_file(
    made: Path, certificate: str, key: str, authorities: str | None, told: str
) -> None:
    with pytest.raises(TlsError) as raised:
        Certificates(made / certificate, made / key, made / authorities if authorities else None)
    assert str(raised.value).startswith(told.format(made))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads any file")
def test_a_file_that_may_not_be_read_is_told(made: Path, tmp_path: Path) -> None:
    key = Path(shutil.copy(made / "server.key", tmp_path))
    key.chmod(0)
    with pytest.raises(TlsError, match="Permission denied"):
        Certificates(made / "server.pem", key, None)


def test_good_files_are_taken_without_a_word(made: Path, log: io.StringIO) -> None:
    for chain in ("server.pem", "chain.pem"):
        Certificates(made / chain, made / "server.key", made / "ca.pem")
    Certificates(made / "small.pem", made / "small.key", None)
    assert load_certificates(Settings()) is None
    assert log.getvalue() == ""


def test_a_certificate_that_has_expired_is_warned_of(made: Path, log: io.StringIO) -> None:
    Certificates(made / "expired.pem", made / "expired.key", None)
    line = json.loads(log.getvalue())
    assert (line["event"], line["level"], line["file"]) == ("certificate_problem", "warning", f"{made}/expired.pem")
    assert "expired" in line["reason"]


@pytest.mark.parametrize("name", ["server", "expired", "small", "other"])
def test_the_time_of_expiry_is_that_of_openssl(made: Path, name: str) -> None:
    shown = subprocess.run(
        ["openssl", "x509", "-in", made / f"{name}.pem", "-noout", "-enddate"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    expires_at = ssl.cert_time_to_seconds(shown.strip().removeprefix("notAfter="))
    assert Certificates(made / f"{name}.pem", made / f"{name}.key", None).expires_at == expires_at


def test_a_change_is_seen_and_a_bad_one_is_told_once(made: Path, tmp_path: Path, log: io.StringIO) -> None:
    certificate, key = (Path(shutil.copy(made / f"server.{kind}", tmp_path)) for kind in ("pem", "key"))
    certificates = Certificates(certificate, key, None)
    first = certificates.refresh()
    assert certificates.refresh() is first
    shutil.copy(made / "other.pem", certificate)  # its key is yet to come
    for _ in range(3):
        assert certificates.refresh() is first
    [refused] = map(json.loads, log.getvalue().splitlines())
    assert refused["event"] == "certificate_reload_failed"
    assert f"tls_key: {key} is not the key" in refused["reason"]
    shutil.copy(made / "other.key", key)
    second = certificates.refresh()
    assert second is not first
    key.unlink()
    assert certificates.refresh() is second
    events = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert events == ["certificate_reload_failed", "certificate_reloaded", "certificate_reload_failed"]
