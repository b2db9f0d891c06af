"""Two gateways on one Redis that pull signed releases from an S3 server: one command moves both."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import s3fs
from support import tiny_release
from support.gateway import RunningGateway, run_gateway
from support.redis_server import run_redis
from support.s3_server import run_s3
from support.signing_keys import make_keys
from typer.testing import CliRunner, Result

from portrait.client import Client, Event, EventType
from portrait.features.release.archive.bundle import Bundle
from portrait.features.release.layout import list_releases
from portrait.server.metrics.endpoint import ask_ready
from portrait.server.rollout.commands import release
from portrait.server.rollout.gateway_status import Gateway

HISTORY = [Event(EventType.VIEW, item_id="desk-lamp-red")]

PROCESSES = 3
"""Processes of both gateways; each of them reports."""


class Fleet:
    """The gateways, the repository of which releases are pushed, and the options of every command.

    Args:
        pushed_from: a repository with the releases 1, 2 and 3.
        url: of the archive.
        redis_url: of the state.
        sign_key: of who pushes.
        verify_key: of the gateways.
    """

    def __init__(self, pushed_from: Path, url: str, redis_url: str, sign_key: Path, verify_key: Path) -> None:
        self.pushed_from, self.url, self._sign_key = pushed_from, url, sign_key
        self.options = ("--releases-url", url, "--verify-key", str(verify_key), "--state-url", redis_url)
        self.gateways: list[RunningGateway] = []

    def push(self, number: int) -> None:
        places = ("--repository", str(self.pushed_from), "--releases-url", self.url)
        done = invoke("push", str(number), *places, "--sign-key", str(self._sign_key))
        assert done.exit_code == 0, done.output

    def command(self, *arguments: str) -> Result:
        return invoke(*arguments, *self.options)

    def move(self, *arguments: str) -> list[Gateway]:
        """Run a command that must succeed; returns what each gateway shows then."""
        done = self.command(*arguments)
        assert done.exit_code == 0, done.output
        return self.shown()

    def shown(self) -> list[Gateway]:
        return [Gateway.ask(metrics_url(gateway)) for gateway in self.gateways]

    def answers(self) -> list[int]:
        """The release that answers a request without a shopper's id, by gateway."""
        answers = []
        for gateway in self.gateways:
            with Client(gateway.address) as client:
                answers.append(client.recommend(HISTORY).release)
        return answers


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(release, arguments, env={"COLUMNS": "300"})


def metrics_url(gateway: RunningGateway) -> str:
    return str(gateway.line("ready")["metrics"])


@pytest.fixture(scope="module")
def fleet(two_releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A gateway of one process and one of two, which began with release 1 that they pulled into empty folders."""
    folder = tmp_path_factory.mktemp("fleet")
    sign_key, verify_key = make_keys(folder, "key")
    shutil.copytree(two_releases, folder / "pushed_from")
    tiny_release.build(folder / "pushed_from", 3)
    with run_s3() as bucket, run_redis(folder / "redis") as redis, ExitStack() as closing:
        fleet = Fleet(folder / "pushed_from", f"{bucket}/fleet", redis.url, sign_key, verify_key)
        fleet.push(1)
        assert fleet.command("promote", "1").exit_code == 0

        def start(number: int) -> RunningGateway:
            own = folder / f"gateway-{number}"
            own.mkdir()
            processes = ("--processes", str(number))
            return closing.enter_context(run_gateway(own / "repository", own, *fleet.options, *processes))

        with ThreadPoolExecutor() as threads:
            fleet.gateways += threads.map(start, (1, 2))
        yield fleet
        for gateway in fleet.gateways:
            assert "internal_error" not in {line["event"] for line in gateway.logged}, gateway.log_text
            assert "background_task_failed" not in {line["event"] for line in gateway.logged}, gateway.log_text


def test_one_command_promotes_tries_and_takes_back_on_all_gateways(fleet: Fleet) -> None:
    assert [gateway.line("release_pulled")["release"] for gateway in fleet.gateways] == [1, 1]
    assert fleet.answers() == [1, 1]
    fleet.push(2)
    assert [(each.serving, each.canary, each.percent) for each in fleet.move("canary", "2", "--percent", "30")] == [
        (1, 2, 30.0)
    ] * 2
    assert fleet.answers() == [1, 1]
    assert [(each.serving, each.canary) for each in fleet.move("promote", "2")] == [(2, None)] * 2
    assert fleet.answers() == [2, 2]
    assert [each.serving for each in fleet.move("rollback")] == [1, 1]
    assert fleet.answers() == [1, 1]
    listed = fleet.command("list").output.splitlines()
    assert [line.split()[0] for line in listed[1:3]] == ["1", "2"]
    assert [line.partition(": ")[2] for line in listed[3:]] == ["1 serves; loaded: 1, 2"] * PROCESSES


def test_gateways_that_can_not_pull_go_on_and_say_why(fleet: Fleet) -> None:
    fleet.push(3)
    file = Bundle.build(fleet.pushed_from, 3).files["ranker/3/model.onnx"]
    path = f"{fleet.url.removeprefix('s3://')}/3/{file.sha256}"
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(path, b"x" * file.size)
    before = fleet.answers()
    done = fleet.command("promote", "3")
    said = f"ranker/3/model.onnx of release 3 at {fleet.url} is not what the signed list says"
    assert done.exit_code == 1
    assert done.stderr.count(f"refused release 3: {said}") == PROCESSES, done.output
    for gateway, shown in zip(fleet.gateways, fleet.shown(), strict=True):
        assert gateway.line("release_refused", release=3)["reason"] == said
        assert shown.refused.keys() == {3}
        assert 3 not in list_releases(Path(gateway.argument("--repository")))
        assert ask_ready(metrics_url(gateway), 5.0) is None
    assert fleet.answers() == before
    assert [each.refused for each in fleet.move("rollback")] == [{}, {}]
    assert fleet.answers() == before
