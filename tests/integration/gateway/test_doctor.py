"""`portrait doctor`: it finds no fault with what works, and names what does not."""

from pathlib import Path

import pytest
from support.certificates import make_authority, make_certificate, make_expired_certificate
from support.command_line import CommandResult, run_portrait
from support.gateway import RunningGateway, run_gateway
from support.signing_keys import make_keys

from portrait.server.rollout.extras import open_release_archive


def examine(repository: Path, folder: Path, *options: object) -> tuple[CommandResult, dict[str, tuple[str, str]]]:
    """Run it; returns the findings by their subject."""
    done = run_portrait("doctor", "--repository", repository, "--state", folder / "portrait.db", *options)
    found = {}
    for line in done.stdout.splitlines():
        level, _, rest = line.partition(" ")
        subject, _, text = rest.strip().partition(": ")
        found[subject] = (level, text)
    return done, found


def test_it_finds_no_fault_with_a_gateway_that_serves(gateway: RunningGateway, repository: Path) -> None:
    metrics = gateway.line("ready")["metrics"]
    state = Path(gateway.argument("--state"))
    done, found = examine(repository, state.parent, "--gateway", metrics)
    assert done.code == 0, done
    assert {level for level, _ in found.values()} <= {"ok", "warning"}
    assert found["release 1"][0] == found["state"][0] == found["embedded triton"][0] == "ok"
    assert found[f"gateway {metrics}"] == ("ok", "ready, serves release 1")


def test_it_names_what_is_wrong(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "portrait.db").write_bytes(b"no database" * 999)
    make_authority(tmp_path)
    make_expired_certificate(tmp_path, "expired")
    certificate = ("--tls-certificate", tmp_path / "expired.pem", "--tls-key", tmp_path / "expired.key")
    triton, nobody = "127.0.0.1:1", "http://127.0.0.1:1/metrics"
    options = (*certificate, "--triton-url", triton, "--processes", "64", "--gateway", nobody)
    done, found = examine(repository, tmp_path, *options)
    assert done.code == 1
    assert (found["state"][0], "no SQLite file" in found["state"][1]) == ("fault", True)
    assert (found["tls"][0], "expires in -" in found["tls"][1]) == ("fault", True)
    assert (found[f"triton {triton}"][0], found[f"gateway {nobody}"][0]) == ("fault", "fault")
    assert (found["cores"][0], "set processes to" in found["cores"][1]) == ("warning", True)
    assert "embedded triton" not in found


@pytest.mark.parametrize(
    ("options", "subject", "level", "told"),
    [
        (("--repository", "/nowhere"), "releases", "fault", "portrait export"),
        (("--release", "9"), "release 9", "fault", "9"),
        (("--host", "0.0.0.0"), "access", "warning", "set access"),
        (("--access", "/nowhere/access.toml"), "access", "fault", "/nowhere/access.toml: No such file"),
        (("--host", "0.0.0.0"), "tls", "warning", "set tls_certificate"),
        (("--state-url", "redis://127.0.0.1:1"), "state", "fault", "no Redis answers at redis://127.0.0.1:1"),
        (("--index-url", "http://127.0.0.1:1"), "index", "fault", "no Milvus answers at http://127.0.0.1:1"),
    ],
)
def test_it_says_what_to_do(
    repository: Path, tmp_path: Path, options: tuple[str, ...], subject: str, level: str, told: str
) -> None:
    done, found = examine(repository, tmp_path, *options)
    assert found[subject][0] == level, done
    assert told in found[subject][1]
    assert done.code == int(level == "fault")


def test_it_looks_into_the_archive(repository: Path, two_releases: Path, tmp_path: Path) -> None:
    sign_key, verify_key = make_keys(tmp_path, "key")
    url, empty = f"file://{tmp_path}/archive", tmp_path / "empty"
    for number, key in ((1, sign_key), (2, None)):
        open_release_archive(url, None).push(two_releases, number, key)
    found = {}
    for number in (1, 2):
        options = ("--releases-url", url, "--verify-key", verify_key, "--release", number, "--repository", empty)
        found |= examine(repository, tmp_path, *options)[1]
    assert found["archive"] == ("ok", f"{url} holds 2 releases")
    assert (found["release 1"][0], "will be pulled" in found["release 1"][1]) == ("warning", True)
    assert (found["release 2"][0], "it is not signed" in found["release 2"][1]) == ("fault", True)
    assert not empty.exists()
    _, found = examine(repository, tmp_path, "--releases-url", url)
    assert (found["archive"][0], "set verify_key" in found["archive"][1]) == ("warning", True)
    _, found = examine(repository, tmp_path, "--releases-url", url, "--verify-key", tmp_path / "none.pem")
    assert (found["archive"][0], "none.pem can't be read" in found["archive"][1]) == ("fault", True)


def test_a_good_certificate_and_gateways_that_differ(
    gateway: RunningGateway, repository: Path, two_releases: Path, tmp_path: Path
) -> None:
    make_authority(tmp_path)
    make_certificate(tmp_path, "server")
    certificate = ("--tls-certificate", tmp_path / "server.pem", "--tls-key", tmp_path / "server.key")
    with run_gateway(two_releases, tmp_path, "--release", "2") as other:
        urls = [each.line("ready")["metrics"] for each in (gateway, other)]
        done, found = examine(repository, tmp_path, *certificate, "--gateway", urls[0], "--gateway", urls[1])
    assert done.code == 0, done
    assert found["tls"][0] == "ok"
    assert found["fleet"][0] == "warning"
