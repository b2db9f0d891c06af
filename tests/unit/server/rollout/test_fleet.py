"""The commands for a whole fleet: on a real Redis, with an archive in a folder and gateways that only report."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import tiny_release
from support.redis_server import RedisServer, run_redis
from support.signing_keys import make_keys
from typer.testing import CliRunner, Result

from portrait.features.release.manifest import ReleaseError
from portrait.server.audit.log import read_lines
from portrait.server.backends import read_wanted_traffic
from portrait.server.rollout.commands import release
from portrait.server.rollout.fleet import Fleet, open_fleet
from portrait.server.rollout.setbacks import Setback, Setbacks
from portrait.server.rollout.traffic import Traffic, TrafficError, file_of
from portrait.server.settings import Settings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(server: RedisServer) -> str:
    server.clear()
    return server.url


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder, "key")
    return folder


@pytest.fixture(scope="module")
def archive(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An archive with releases 1 and 2, which are signed, and 3, which is not. Not to be changed."""
    folder = tmp_path_factory.mktemp("archive")
    for number in (1, 2, 3):
        tiny_release.build(folder / "repository", number)
        signed = ["--sign-key", str(keys / "key.pem")] if number < 3 else []
        done = run(
            "push", str(number), "--repository", f"{folder}/repository", "--releases-url", f"file://{folder}/a", *signed
        )
        assert done.exit_code == 0, done.output
    return f"file://{folder}/a"


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with open_fleet(redis_url) as fleet:
        yield fleet


@pytest.fixture
def command(redis_url: str, archive: str, keys: Path) -> Callable[..., Result]:
    """Run a command for the fleet."""
    options = ("--state-url", redis_url, "--releases-url", archive, "--verify-key", str(keys / "key.pub"))
    return lambda *arguments: run(*arguments, *options)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(release, arguments, env={"COLUMNS": "300"})


class Reporting:
    """Stands for the rollout of a gateway: what it serves, and what it has refused."""

    def __init__(self, traffic: Traffic, stamp: str | None, refused: dict[int, str] | None = None) -> None:
        self.registry = SimpleNamespace(routes=SimpleNamespace(traffic=traffic), engines=dict.fromkeys(traffic.routed))
        self.stamp = stamp
        self.setbacks = Setbacks()
        self.setbacks.refused = {number: Setback(reason, 5.0, 0.0) for number, reason in (refused or {}).items()}


async def follow(fleet: Fleet, name: str, refused: dict[int, str] | None = None) -> None:
    """Report as a gateway does that serves what is wanted at once, or refuses it and stays with release 1."""
    stands_for: Any
    while True:
        traffic, stamp = await fleet.read(), await fleet.read_stamp()
        if traffic is not None:
            served = Traffic(1) if refused and refused.keys() & set(traffic.routed) else traffic
            stands_for = Reporting(served, stamp, refused)
            await fleet.report(name, stands_for)
        await asyncio.sleep(0.05)


def test_one_command_moves_all(command: Callable[..., Result], redis_url: str, tmp_path: Path) -> None:
    async def traffic() -> Traffic | None:
        async with open_fleet(redis_url) as fleet:
            return await fleet.read()

    assert "no release serves yet" in command("rollback").output
    assert "no release serves yet" in command("canary", "2", "--percent", "5").output
    for arguments, wanted in (
        (("promote", "1"), Traffic(1)),
        (("canary", "2", "--percent", "5"), Traffic(1, None, 2, 5.0)),
        (("promote", "2"), Traffic(2, 1)),
        (("rollback",), Traffic(1, 2)),
    ):
        done = command(*arguments, "--repository", str(tmp_path), "--audit-log", str(tmp_path / "audit.jsonl"))
        assert done.exit_code == 0, done.output
        assert asyncio.run(traffic()) == wanted
    assert not file_of(tmp_path).exists()
    begun = [line for line in read_lines(tmp_path / "audit.jsonl") if "method" in line]
    assert [line["method"] for line in begun] == [
        "release promote", "release canary", "release promote", "release rollback"
    ]  # fmt: skip
    assert {line["place"] for line in begun} == {redis_url}


async def test_what_a_fleet_serves_is_read_from_its_redis(fleet: Fleet, redis_url: str, tmp_path: Path) -> None:
    tiny_release.build(tmp_path, 1)
    of_file = Settings(repository=tmp_path)
    of_fleet = Settings(repository=tmp_path, state_url=redis_url, releases_url=f"file://{tmp_path}/archive")
    with pytest.raises(ReleaseError, match="no release was ever promoted"):
        await read_wanted_traffic(of_fleet)
    await fleet.choose(Traffic(2, 1), None)
    assert await read_wanted_traffic(of_fleet) == Traffic(2, 1)
    assert await read_wanted_traffic(of_file) == Traffic(1)


def test_what_gateways_could_not_use_is_refused_before_they_are_told(
    command: Callable[..., Result], redis_url: str, archive: str
) -> None:
    assert command("promote", "1").exit_code == 0
    for number, said in (("3", "it is not signed"), ("7", "holds no release 7; those there are: 1, 2, 3")):
        for arguments in (("promote", number), ("canary", number, "--percent", "5")):
            done = command(*arguments)
            assert (done.exit_code, said in done.output) == (2, True), done.output
    # Whoever asks for no signature gets it, with the same commands.
    assert run("promote", "3", "--state-url", redis_url, "--releases-url", archive).exit_code == 0
    listed = command("list")
    one, two, three = listed.output.splitlines()[1:]
    assert one.split(maxsplit=3)[2:] == ["before", "signed by an accepted key"]
    assert two.split(maxsplit=2)[2] == "signed by an accepted key"
    assert three.startswith("3")
    assert "is refused: it is not signed" in three


async def test_a_command_waits_for_all_gateways_and_shows_them(fleet: Fleet, command: Callable[..., Result]) -> None:
    gateways = [asyncio.create_task(follow(fleet, name)) for name in ("host-1/7", "host-2/7")]
    await asyncio.to_thread(command, "promote", "1")
    async with asyncio.timeout(30):
        while len(await fleet.list_reports()) < 2:
            await asyncio.sleep(0.02)
    for arguments in (("promote", "2"), ("canary", "1", "--percent", "10"), ("rollback",)):
        done = await asyncio.to_thread(command, *arguments)
        assert done.exit_code == 0, done.output
    assert done.output.splitlines()[1:] == [f"{name}: 1 serves; loaded: 1" for name in ("host-1/7", "host-2/7")]
    for gateway in gateways:
        gateway.cancel()
    assert "host-2/7: 1 serves" in (await asyncio.to_thread(command, "list")).output


async def test_a_gateway_that_refuses_or_is_late_is_told(fleet: Fleet, command: Callable[..., Result]) -> None:
    refusing = asyncio.create_task(follow(fleet, "refusing", {2: "the disk is full"}))
    pinned: Any = Reporting(Traffic(1), None)
    late: Any = Reporting(Traffic(1), "of the time before")
    assert (await asyncio.to_thread(command, "promote", "1")).exit_code == 0
    await fleet.report("pinned", pinned)
    async with asyncio.timeout(30):
        while len(await fleet.list_reports()) < 2:
            await asyncio.sleep(0.02)
    done = await asyncio.to_thread(command, "promote", "2")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == ["refusing refused release 2: the disk is full"]
    assert "refusing: 1 serves; loaded: 1; refused: 2 (the disk is full)" in done.output
    await fleet.report("late", late)
    done = await asyncio.to_thread(command, "promote", "1", "--wait-seconds", "0.5")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == ["late has not switched in time"]
    refusing.cancel()


async def test_gateways_that_are_silent_are_gone(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    reporting: Any = Reporting(Traffic(1), "stamp")
    await fleet.report("silent", reporting)
    assert list(await fleet.list_reports()) == ["silent"]
    monkeypatch.setattr("portrait.server.rollout.fleet._SILENT_SECONDS", -1)
    assert await fleet.list_reports() == {}


async def test_two_who_choose_at_once_do_not_undo_each_other(fleet: Fleet) -> None:
    with pytest.raises(ReleaseError, match="no release was ever promoted"):
        await fleet.read_first()
    assert await fleet.read_stamp() is None
    first = await fleet.choose(Traffic(1), None)
    assert await fleet.read_stamp() == first
    second = await fleet.choose(Traffic(2, 1), first)
    for before in (None, first):
        with pytest.raises(TrafficError, match="at the same moment"):
            await fleet.choose(Traffic(3, 1), before)
    assert await fleet.read_stamp() == second
    assert await fleet.read_first() == Traffic(2, 1)


def test_a_rollback_needs_no_archive(
    command: Callable[..., Result], redis_url: str, archive: str, tmp_path: Path
) -> None:
    for number in ("1", "2"):
        assert command("promote", number).exit_code == 0
    (tmp_path / "file").touch()
    lost = ("--state-url", redis_url, "--releases-url", f"file://{tmp_path}/file/lost")
    assert run("promote", "2", *lost).exit_code == 2
    assert "1 serves" in run("rollback", *lost).output
    listed = run("list", *lost)
    assert listed.exit_code == 0
    assert "can't be listed" in listed.stderr
    assert listed.output.count("can't be read") == 2


def test_without_redis_a_release_is_pulled_before_the_file_names_it(archive: str, keys: Path, tmp_path: Path) -> None:
    options = ("--repository", str(tmp_path), "--releases-url", archive, "--verify-key", str(keys / "key.pub"))
    assert "not pulled; signed by an accepted key" in run("list", *options).output
    assert run("promote", "3", *options).exit_code == 2
    assert Traffic.read(tmp_path) is None
    for number in ("1", "2"):
        assert run("promote", number, *options).exit_code == 0
    assert Traffic.of(tmp_path) == Traffic(2, 1)
    listed = run("list", *options).output.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["1", "2", "3"]
    assert [line.split()[-1] for line in listed[1:3]] == ["whole", "whole"]


def test_a_release_is_pulled_by_itself(archive: str, keys: Path, tmp_path: Path) -> None:
    options = ("--repository", str(tmp_path), "--releases-url", archive, "--verify-key", str(keys / "key.pub"))
    assert f"{tmp_path} holds release 2" in run("pull", "2", *options).output
    assert f"{tmp_path} held release 2" in run("pull", "2", *options).output
    refused = run("pull", "3", *options)
    assert (refused.exit_code, "is refused: it is not signed" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["push", "1", "--releases-url", "ftp://x"], "no address of an archive"),
        (["push", "9", "--releases-url", "file:///nowhere"], "holds no release"),
        (["push", "1"], "--releases-url"),
        (["pull", "1", "--releases-url", "file:///nowhere", "--verify-key", "/dev/null"], "not a regular file"),
        (["pull", "1", "--releases-url", "file:///nowhere", "--verify-key", "no.pem"], "no.pem can't be read"),
        (["promote", "1", "--releases-url", "nowhere"], "no address of an archive"),
        (["promote", "1", "--releases-url", "file:///nowhere", "--state-url", "unix:///no.sock"], "no Redis answers"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run(*arguments, "--repository", str(tmp_path))
    assert done.exit_code == 2, done.output
    assert said in done.output
