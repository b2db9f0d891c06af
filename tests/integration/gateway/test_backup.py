"""A backup that is written under load, and a gateway that starts from it: the same answers, and nobody is back."""

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from support.audience_tables import build_audience_table
from support.command_line import CommandResult, run_portrait
from support.gateway import run_gateway

from portrait.client import ActivityCriterion, AsyncClient, Client, Event, EventType, FailedPreconditionError
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.profile_service_pb2_grpc import ProfileServiceStub

NOW = datetime.now(UTC)
SHOPPERS = [f"shopper-{number}" for number in range(4)]
AUDIENCE = ("--min-audience-size", "1", "--consent-advertising", "unless-withdrawn")


def bought(shopper_id: str, number: int) -> tuple[str, Event]:
    time = NOW - timedelta(days=2) + timedelta(seconds=number)
    return shopper_id, Event(EventType.PURCHASE, f"e{number}", time, "desk-lamp-red", price=5.0)


def profiles(address: str) -> dict[str, str]:
    """The answers of one moment."""
    with grpc.insecure_channel(address) as channel:
        stub = ProfileServiceStub(channel)
        found = {}
        for shopper_id in SHOPPERS:
            request = GetProfileRequest(shopper={"shopper_id": shopper_id}, as_of=NOW)
            try:
                response = stub.GetProfile(request)
                response.profile.ClearField("computed_at")
                found[shopper_id] = str(response)
            except grpc.RpcError as error:
                found[shopper_id] = error.code().name
        return found


async def back_up_under_load(address: str, state: Path, backup: Path) -> CommandResult:
    """Write a backup while events are recorded as fast as they are acknowledged."""
    stop = asyncio.Event()
    async with AsyncClient(address) as client:

        async def record() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                assert (await client.record_events([bought("another", number)])).accepted == 1

        recording = [asyncio.create_task(record())]
        try:
            return await asyncio.to_thread(run_portrait, "backup", backup, "--state", state)
        finally:
            stop.set()
            await asyncio.gather(*recording)


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_state_that_is_in_redis_is_no_file_to_copy(command: str, tmp_path: Path) -> None:
    """The file at the default path is that of an earlier time, or of nobody."""
    settings = tmp_path / "portrait.toml"
    settings.write_text('state_url = "redis://:secret@redis-1:6379"\n', encoding="utf-8")
    done = run_portrait(command, tmp_path / "backup.db", "--settings-file", settings)
    assert done.code == 2
    assert "error: state_url: the state of these settings is in Redis" in done.stderr
    assert "secret" not in done.stderr


def test_a_gateway_starts_from_a_backup_with_the_same_answers(repository: Path, tmp_path: Path) -> None:
    state, backup, deletions = tmp_path / "portrait.db", tmp_path / "backup.db", tmp_path / "deletions.csv"
    with run_gateway(repository, tmp_path, *AUDIENCE) as gateway:
        with Client(gateway.address) as client:
            client.record_events(bought(shopper_id, number) for shopper_id in SHOPPERS for number in range(20))
        before = profiles(gateway.address)
        written = asyncio.run(back_up_under_load(gateway.address, state, backup))
        assert written.code == 0, written.stderr
        assert json.loads(written.stderr)["events"] >= 80
        with Client(gateway.address) as client:
            client.forget_shopper(SHOPPERS[0])
            client.forget_shopper(SHOPPERS[1])
        build_audience_table(gateway)
        refused = run_portrait("restore", backup, "--state", state)
        assert (refused.code, "is in use" in refused.stderr) == (1, True)
    deletions.write_text(run_portrait("export-deletions", "--state", state).stdout, encoding="utf-8")

    elsewhere = tmp_path / "elsewhere"
    told = run_portrait("restore", backup, "--state", elsewhere / "portrait.db")
    assert (told.code, "--deletions" in told.stderr, elsewhere.exists()) == (1, True, False)
    for target, options in ((elsewhere / "portrait.db", ("--deletions", deletions)), (state, ())):
        restored = run_portrait("restore", backup, "--state", target, *options)
        assert (restored.code, json.loads(restored.stderr)["forgotten"]) == (0, 2), restored.stderr
    shutil.move(tmp_path / "audiences", elsewhere)

    for folder in (tmp_path, elsewhere):
        with run_gateway(repository, folder, *AUDIENCE) as gateway:
            assert profiles(gateway.address) == before | dict.fromkeys(SHOPPERS[:2], "NOT_FOUND")
            with Client(gateway.address) as client:
                everybody = [ActivityCriterion(since=NOW - timedelta(days=30))]
                with pytest.raises(FailedPreconditionError):  # the table is of the state that was replaced
                    client.estimate_audience(everybody)
                assert client.record_events([bought(SHOPPERS[0], 3)]).accepted == 0
