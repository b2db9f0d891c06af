"""The operator's view of the gateway: health, reflection, ids, deadlines, logs, metrics, drain, TLS."""

import asyncio
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.certificates import make_authority, make_certificate
from support.gateway import RunningGateway, Stubs, run_gateway, serve_command
from support.metric_lint import GAUGES, lint_metrics, list_gauges
from support.scrape import scrape

from portrait.server.audiences.table import DESCRIPTION_FILE
from portrait.server.release.release import Release
from portrait.server.storage.sqlite import open_store
from portrait.v1 import event_pb2, item_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, UpsertItemsRequest
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import BatchGetProfilesRequest, GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest
from portrait.v1.text_service_pb2 import EncodeTextStreamRequest, EncodeTextStreamResponse

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NOBODY = shopper_pb2.ShopperRef(shopper_id="nobody")


async def test_health_knows_the_server_and_each_service(stubs: Stubs) -> None:
    health = health_pb2_grpc.HealthStub(stubs.channel)
    for service in ("", "portrait.v1.ProfileService", "portrait.v1.RecommendationService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await health.Check(health_pb2.HealthCheckRequest(service="none"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services(stubs: Stubs) -> None:
    reflect = reflection_pb2_grpc.ServerReflectionStub(stubs.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [answer] = [answer async for answer in reflect.ServerReflectionInfo(iter([request]))]
    names = {service.name for service in answer.list_services_response.service}
    assert {
        f"portrait.v1.{name}Service" for name in ("Event", "Profile", "Recommendation", "Catalogue", "Text")
    } <= names
    assert "grpc.health.v1.Health" in names


async def test_a_request_id_comes_back(stubs: Stubs) -> None:
    request = RecommendRequest(shopper=NOBODY)
    call = stubs.recommendations.Recommend(request, metadata=(("x-request-id", "order-17"),))
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "order-17"
    failing = stubs.profiles.GetProfile(GetProfileRequest(), metadata=(("x-request-id", "not fit for a log"),))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await failing
    assert len(str(dict(raised.value.trailing_metadata())["x-request-id"])) == 32


async def test_a_deadline_that_is_too_short_is_kept(stubs: Stubs) -> None:
    history = shopper_pb2.History(events=[{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red"}] * 10_000)
    request = BatchGetProfilesRequest(shoppers=[shopper_pb2.ShopperRef(history=history)] * 10)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stubs.profiles.BatchGetProfiles(request, timeout=0.05)
    # A gateway that knows itself to be slow, as on a busy machine, refuses at once what it would not end in time.
    assert raised.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)


async def test_the_log_tells_of_calls_but_nothing_of_shoppers(gateway: RunningGateway, stubs: Stubs) -> None:
    secret = "secret-of-ann"
    event = event_pb2.Event(
        event_id=secret, type=event_pb2.EVENT_TYPE_SEARCH, query=secret, time=datetime.now(UTC), item_id=secret
    )
    await stubs.events.RecordEvents(RecordEventsRequest(events=[{"shopper_id": secret, "event": event}]))
    metadata = (("x-request-id", "seen-in-log"),)
    request = RecommendRequest(shopper=shopper_pb2.ShopperRef(shopper_id=secret), query=secret)
    await stubs.recommendations.Recommend(request, metadata=metadata)
    for wrong in (GetProfileRequest(shopper=NOBODY, fields={"paths": [secret]}),):
        with pytest.raises(grpc.aio.AioRpcError):
            await stubs.profiles.GetProfile(wrong)
    [line] = gateway.lines("rpc", request_id="seen-in-log")
    assert line["method"] == "portrait.v1.RecommendationService/Recommend"
    assert (line["code"], line["items"], line["events"], line["release"]) == ("OK", 10, 1, 1)
    assert line["milliseconds"] > 0
    assert secret not in gateway.log_text


async def test_metrics_count_calls(gateway: RunningGateway, stubs: Stubs) -> None:
    await stubs.recommendations.Recommend(RecommendRequest(shopper=NOBODY))
    text = await asyncio.to_thread(scrape, gateway)
    assert 'portrait_rpcs_total{code="OK",method="portrait.v1.RecommendationService/Recommend"}' in text
    assert "portrait_rpc_duration_seconds_bucket" in text
    assert "portrait_release 1.0" in text
    assert 'portrait_catalogue_items{catalogue="products",release="1"}' in text
    assert 'portrait_catalogue_unindexed_items{catalogue="products",release="1"}' in text


def test_probes_need_no_grpc(gateway: RunningGateway) -> None:
    assert (scrape(gateway, "/livez"), scrape(gateway, "/readyz")) == ("ok\n", "ok\n")


async def test_the_state_has_metrics(gateway: RunningGateway, stubs: Stubs) -> None:
    viewed = event_pb2.Event(type=event_pb2.EVENT_TYPE_VIEW, event_id=uuid4().hex, item_id="x", time=datetime.now(UTC))
    await stubs.events.RecordEvents(RecordEventsRequest(events=[{"shopper_id": "ann", "event": viewed}]))
    values = {
        line.partition("{")[0].split()[0]: float(line.rpartition(" ")[2])
        for line in scrape(gateway).splitlines()
        if line.startswith(("portrait_state", "portrait_store", "portrait_build"))
    }
    assert values["portrait_state_bytes"] > 4096
    assert values["portrait_state_disk_free_bytes"] > 0
    assert values["portrait_store_duration_seconds_count"] > 0
    assert values["portrait_build_info"] == 1


async def test_prometheus_finds_no_fault_with_the_metrics(gateway: RunningGateway, stubs: Stubs) -> None:
    await stubs.recommendations.Recommend(RecommendRequest(shopper=NOBODY))
    text = scrape(gateway)
    assert list_gauges(text) <= GAUGES
    assert "# TYPE portrait_text_cache_hits_total counter" in text
    assert "# TYPE portrait_text_cache_misses_total counter" in text
    assert 'portrait_degraded_responses_total{cause="late"} ' in text
    assert lint_metrics(text) == ""


@pytest.mark.parametrize("content", ["{", "[]", '{"shoppers": 3}', "\x00"])
def test_a_damaged_audience_table_hides_no_other_metrics(
    gateway: RunningGateway, repository: Path, tmp_path: Path, content: str
) -> None:
    audiences = Path(gateway.argument("--audiences"))
    damaged = audiences / Release.load(repository, 1).identity / f"{10**15}" / DESCRIPTION_FILE  # the newest
    damaged.parent.mkdir(parents=True)
    damaged.write_text(content, encoding="utf-8")
    try:
        text = scrape(gateway)
    finally:
        shutil.rmtree(damaged.parent)
    assert "portrait_release 1.0" in text
    assert 'portrait_audience_searches_total{outcome="' in text
    assert 'portrait_log_lines_dropped_total{reason="queue_full"} 0.0' in text


async def test_a_catalogue_that_was_emptied_has_no_metrics(gateway: RunningGateway, stubs: Stubs) -> None:
    catalogue = uuid4().hex
    item = item_pb2.Item(item_id="1", title="A lamp")
    await stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue=catalogue, items=[item]))
    assert f'portrait_catalogue_items{{catalogue="{catalogue}",release="1"}} 1.0' in scrape(gateway)
    await stubs.catalogue.DeleteItems(DeleteItemsRequest(catalogue=catalogue, item_ids=["1"]))
    assert catalogue not in scrape(gateway)


async def test_a_drain_ends_calls_watchers_and_streams_and_then_the_process(
    repository: Path, shared_triton: tuple[str, str], tmp_path: Path
) -> None:
    with run_gateway(repository, tmp_path, *shared_triton, "--drain-seconds", "20") as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stubs = Stubs.over(channel)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == SERVING
            stream = stubs.texts.EncodeTextStream(timeout=60.0)
            await stream.write(EncodeTextStreamRequest(texts=["lamp"]))
            assert isinstance(await stream.read(), EncodeTextStreamResponse)
            calls = [
                asyncio.ensure_future(stubs.recommendations.Recommend(RecommendRequest(shopper=NOBODY)))
                for _ in range(40)
            ]
            await calls[0]
            code = await asyncio.to_thread(gateway.terminate)
            assert code == 0
            assert (await watch.read()).status == NOT_SERVING
            with pytest.raises(grpc.aio.AioRpcError) as raised:  # it ends behind what the gateway has read
                await stream.read()
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            answered = await asyncio.gather(*calls, return_exceptions=True)
        assert all(not isinstance(answer, BaseException) for answer in answered), answered
        assert gateway.line("stopped")


async def test_a_second_gateway_on_the_same_port_is_refused(
    gateway: RunningGateway, repository: Path, shared_triton: tuple[str, str], tmp_path: Path
) -> None:
    port = gateway.address.rpartition(":")[2]
    second = await asyncio.to_thread(
        subprocess.run,
        serve_command(repository, tmp_path, *shared_triton, "--port", port),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert second.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_check_loads_everything_and_serves_nothing(repository: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        serve_command(repository, tmp_path, "--check"), capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0
    assert '"event": "ready"' not in done.stderr
    done = subprocess.run(
        serve_command(repository, tmp_path, "--check", "--release", "7"),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_check_finds_damage_that_a_start_does_not(repository: Path, tmp_path: Path) -> None:
    state = tmp_path / "portrait.db"
    asyncio.run(_begin_state(state))
    with sqlite3.connect(state) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.executemany(
            "INSERT INTO item_changes (catalogue, item_id) VALUES ('ads', ?)", [(f"{n:0200}",) for n in range(2_000)]
        )
    connection.close()
    with state.open("r+b") as file:
        file.seek(state.stat().st_size // 8192 * 4096)
        file.write(b"\xa5" * 4096)
    done = subprocess.run(
        serve_command(repository, tmp_path, "--check"), capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 1
    assert "portrait.db is damaged" in done.stderr
    assert "Traceback" not in done.stderr


async def _begin_state(path: Path) -> None:
    store = await open_store(path)
    await store.close()


async def test_only_callers_of_the_authority_are_served(
    repository: Path, shared_triton: tuple[str, str], tmp_path: Path
) -> None:
    make_authority(tmp_path)
    for name in ("server", "caller"):
        make_certificate(tmp_path, name)
    files = [tmp_path / name for name in ("ca.pem", "caller.key", "caller.pem")]
    authority, key, certificate = (file.read_bytes() for file in files)
    tls = (*shared_triton, "--tls-certificate", f"{tmp_path}/server.pem", "--tls-key", f"{tmp_path}/server.key")
    request = RecommendRequest(shopper=NOBODY)
    with run_gateway(repository, tmp_path, *tls, "--tls-client-ca", f"{tmp_path}/ca.pem") as gateway:
        known = grpc.ssl_channel_credentials(authority, key, certificate)
        async with grpc.aio.secure_channel(gateway.address, known) as channel:
            assert len((await Stubs.over(channel).recommendations.Recommend(request)).items) == 10
        for unknown in (grpc.ssl_channel_credentials(authority), None):
            channel = (
                grpc.aio.secure_channel(gateway.address, unknown)
                if unknown
                else grpc.aio.insecure_channel(gateway.address)
            )
            async with channel:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await Stubs.over(channel).recommendations.Recommend(request, timeout=60)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
