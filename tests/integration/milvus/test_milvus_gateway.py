"""A real gateway that searches the nearest items in a real Milvus Lite: releases, item changes, and its outage."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.command_line import run_portrait
from support.gateway import RunningGateway, Stubs, run_gateway, serve_command
from support.milvus_server import MilvusServer
from support.scrape import read_metrics

from portrait.server.rollout.traffic import Traffic
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, UpsertItemsRequest
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse

SECONDS = 60.0
"""Far more than anything takes on a busy machine."""
HISTORY = shopper_pb2.ShopperRef(
    history={
        "events": [{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": item} for item in ("desk-lamp-red", "wool-rug-green")]
    }
)


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of `gateway`, whose release 1 serves."""
    copied = tmp_path_factory.mktemp("followed") / "repository"
    shutil.copytree(repository, copied)
    Traffic(1).write(copied)
    return copied


@pytest.fixture(scope="module")
def gateway(folder: Path, milvus: MilvusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that searches in Milvus, and computes every answer anew."""
    index(folder, milvus, "1")
    options = ("--index-url", milvus.url, "--response-cache-mib", "0")
    with run_gateway(folder, tmp_path_factory.mktemp("gateway"), *options) as served:
        yield served


@pytest.fixture
async def stubs(gateway: RunningGateway) -> AsyncIterator[Stubs]:
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        yield Stubs.over(channel)


@asynccontextmanager
async def serving(repository: Path, folder: Path, *arguments: str) -> AsyncIterator[tuple[RunningGateway, Stubs]]:
    folder.mkdir(exist_ok=True)
    with run_gateway(repository, folder, *arguments) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            yield gateway, Stubs.over(channel)


async def recommend(stubs: Stubs, **fields: object) -> RecommendResponse:
    request = RecommendRequest(shopper=HISTORY, k=50, **fields)  # type: ignore[arg-type] # names of fields
    return await stubs.recommendations.Recommend(request, timeout=SECONDS)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await holds():
            await asyncio.sleep(0.05)


async def is_served(stubs: Stubs, service: str) -> bool:
    request = health_pb2.HealthCheckRequest(service=service and f"portrait.v1.{service}")
    answer = await health_pb2_grpc.HealthStub(stubs.channel).Check(request)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def ids(answer: RecommendResponse) -> list[str]:
    return [each.item.item_id for each in answer.items]


def require_alike(answer: RecommendResponse, other: RecommendResponse) -> None:
    """Require the same items but for one in fifty, which an approximate search may miss."""
    assert len(set(ids(answer)) & set(ids(other))) >= 0.98 * len(other.items), (ids(answer), ids(other))


def index(repository: Path, milvus: MilvusServer, *arguments: str) -> list[dict[str, object]]:
    options = ["--repository", str(repository), "--index-url", milvus.url]
    program = str(Path(sys.executable).parent / "portrait")
    done = subprocess.run(
        [program, "index-release", *arguments, *options], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


async def test_a_release_is_served_once_it_is_in_milvus(folder: Path, milvus: MilvusServer, tmp_path: Path) -> None:
    refused = await asyncio.create_subprocess_exec(
        *serve_command(folder, tmp_path, "--index-url", milvus.url), stderr=asyncio.subprocess.PIPE
    )
    _, log = await refused.communicate()
    assert refused.returncode == 1
    assert "run `portrait index-release 1`" in log.decode()
    assert index(folder, milvus, "1")[-1]["is_new"]
    assert not index(folder, milvus, "1")[-1]["is_new"]


async def test_without_milvus_all_but_the_search_goes_on(
    gateway: RunningGateway, stubs: Stubs, milvus: MilvusServer
) -> None:
    whole = await recommend(stubs)
    with milvus.paused():
        await _require_refusal(stubs)
        await until(lambda: _is_not_served(stubs, "RecommendationService"))
    await until(lambda: is_served(stubs, "RecommendationService"))
    milvus.kill()
    await _require_refusal(stubs)
    await until(lambda: _is_not_served(stubs, "RecommendationService"))
    assert await is_served(stubs, "")
    assert await is_served(stubs, "ProfileService")
    degraded = await recommend(stubs, allow_degraded=True)
    assert degraded.degraded
    assert len(degraded.items) == 50
    await stubs.profiles.GetProfile(GetProfileRequest(shopper=HISTORY))
    assert read_metrics(gateway)["portrait_index_search_failures_total"] > 0
    await asyncio.to_thread(milvus.start)
    await until(lambda: is_served(stubs, "RecommendationService"))
    assert ids(await recommend(stubs)) == ids(whole)
    assert "Traceback" not in gateway.log_text


async def test_releases_are_served_from_milvus_side_by_side(
    folder: Path, gateway: RunningGateway, stubs: Stubs, milvus: MilvusServer, tmp_path: Path
) -> None:
    models = ("--triton-url", gateway.triton_url())
    async with serving(folder, tmp_path / "own", *models) as (_, in_process):
        own = await recommend(in_process)
        own_filtered = await recommend(in_process, filter={"brands": ["acme"], "min_price": 30.0})
    require_alike(await recommend(stubs), own)
    require_alike(await recommend(stubs, filter={"brands": ["acme"], "min_price": 30.0}), own_filtered)
    await _change_items(stubs, ids(own))
    Traffic(2, 1).write(folder)
    assert "run `portrait index-release 2`" in str((await asyncio.to_thread(gateway.line, "release_refused"))["reason"])
    await asyncio.to_thread(index, folder, milvus)  # the newest
    Traffic(2, 1).write(folder)
    await until(lambda: _serves(stubs, 2))
    assert ids(await recommend(stubs)) != ids(own)
    Traffic(1, 2).write(folder)
    await until(lambda: _serves(stubs, 1))
    Traffic(2).write(folder)
    await until(lambda: _serves(stubs, 2))
    pruned = await asyncio.to_thread(index, folder, milvus, "--prune")
    assert pruned[-1]["releases"] == [1]
    assert (await recommend(stubs)).release == 2


async def _serves(stubs: Stubs, release: int) -> bool:
    return (await recommend(stubs)).release == release


async def _change_items(stubs: Stubs, shown: list[str]) -> None:
    """Add an item and delete another; both are seen at once, and taken back."""
    new = {"item_id": "new-lamp", "title": "Red desk lamp", "category_path": ["Home", "Lamps"], "price": 20.0}
    await stubs.catalogue.UpsertItems(UpsertItemsRequest(items=[new]))
    assert "new-lamp" in ids(await recommend(stubs, query="red desk lamp"))
    await stubs.catalogue.DeleteItems(DeleteItemsRequest(item_ids=["new-lamp", shown[3]]))
    after = ids(await recommend(stubs, query="red desk lamp"))
    assert "new-lamp" not in after
    assert shown[3] not in ids(await recommend(stubs))


async def _is_not_served(stubs: Stubs, service: str) -> bool:
    return not await is_served(stubs, service)


async def _require_refusal(stubs: Stubs) -> None:
    """Require that a call says in time that the index does not answer."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await recommend(stubs)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    metadata = dict(raised.value.trailing_metadata() or ())
    details = status_pb2.Status.FromString(metadata["grpc-status-details-bin"]).details
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in details)
    assert info.reason == "INDEX_UNAVAILABLE"


def test_the_command_says_what_is_missing(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("pymilvus", reason="pymilvus is missing: it comes with the extra `milvus`")
    for arguments, code, told in (
        ((), 2, "index_url"),
        (("--index-url", "milvus://host"), 2, "--index-url 'milvus://host': it is neither http"),
        (("--index-url", "http://127.0.0.1:1"), 1, "no Milvus answers at http://127.0.0.1:1"),
        (("--index-url", tmp_path / "none" / "items.db"), 1, "no Milvus answers"),
    ):
        done = run_portrait("index-release", *arguments, "--repository", repository)
        assert (done.code, told in done.stderr) == (code, True), done.stderr
    done = run_portrait("serve", "--index-url", "items.db", "--processes", "2", "--check")
    assert done.code == 2
    assert "set processes to 1" in done.stderr
