"""Releases are promoted, taken back and tried on some shoppers while requests flow; broken ones change nothing."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import numpy as np
import pytest
from support.faults import killed
from support.gateway import RunningGateway, Stubs, run_gateway
from support.scrape import read_metrics
from tritonclient.grpc.aio import InferenceServerClient
from typer.testing import CliRunner, Result

from portrait.features.files.integrity import sha256
from portrait.features.release import layout as release_layout
from portrait.features.release.layout import MODELS
from portrait.features.release.manifest import Manifest
from portrait.server.rollout.commands import release
from portrait.server.rollout.traffic import Traffic, file_of
from portrait.server.triton import EmbeddedTriton
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, UpsertItemsRequest
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import BatchGetProfilesRequest, GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RankRequest, RecommendRequest

DEADLINE = 60.0
"""Far more than a call takes on a busy machine, in seconds."""
HISTORY = shopper_pb2.ShopperRef(
    history={
        "events": [
            {"type": event_pb2.EVENT_TYPE_VIEW, "item_id": item}
            for item in ("desk-lamp-red", "frying-pan-blue", "wool-rug-green", "garden-spade-black")
        ]
    }
)

Ask = Callable[[Stubs], Awaitable[tuple[int, list[float]]]]
"""One request: the release that the answer names, and numbers that tell which release computed them."""


def copy(two_releases: Path, folder: Path) -> Path:
    """A model repository whose release 1 serves."""
    shutil.copytree(two_releases, folder)
    Traffic(1).write(folder)
    return folder


@pytest.fixture
def repository(two_releases: Path, tmp_path: Path) -> Path:
    return copy(two_releases, tmp_path / "repository")


@pytest.fixture(scope="module")
def followed(two_releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of `following`."""
    return copy(two_releases, tmp_path_factory.mktemp("followed") / "repository")


@pytest.fixture(scope="module")
def following(followed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway for all tests that swap good releases."""
    # Answers that are given again prove little: few of them, but some.
    options = ("--response-cache-ttl-seconds", "0.05")
    with run_gateway(followed, tmp_path_factory.mktemp("following"), *options) as served:
        yield served


@pytest.fixture
async def stubs(followed: Path, following: RunningGateway) -> AsyncIterator[Stubs]:
    """Stubs of `following`; release 1 serves alone before the test and after it."""
    async with grpc.aio.insecure_channel(following.address) as channel:
        yield Stubs.over(channel)
    Traffic(1).write(followed)
    await until(lambda: serves_alone(following))


async def serves_alone(gateway: RunningGateway) -> bool:
    shown = await asyncio.to_thread(read_metrics, gateway)
    return (shown["portrait_release"], shown["portrait_release_canary"]) == (1, 0)


def gone_wrong(repository: Path, number: int, broken: str) -> None:
    """A release like the first, but for one file, of which its manifest has the right hash."""
    folder = release_layout.release_folder(repository, number)
    shutil.copytree(release_layout.release_folder(repository, 1), folder)
    for model in MODELS:
        shutil.copytree(repository / model / "1", repository / model / str(number))
    paths = [*(release_layout.model_file(repository, model, number) for model in MODELS)]
    (folder / release_layout.REPORT).touch()
    paths += [path for path in folder.rglob("*") if path.is_file() and path.name != release_layout.MANIFEST]
    next(path for path in paths if broken in str(path)).write_bytes(b"nothing that can be read")
    manifest = Manifest.read(folder)
    hashes = {str(path.relative_to(repository)): sha256(path) for path in paths}
    Manifest(**{**vars(manifest), "release": number, "hashes": hashes}).write(folder)


def damaged(repository: Path, number: int, damage: Callable[[Path], object]) -> None:
    """A release like the first, that somebody damaged since."""
    gone_wrong(repository, number, release_layout.REPORT)
    damage(release_layout.release_folder(repository, number))


def lose_hashes(folder: Path) -> None:
    """Drop the hashes of a manifest, as somebody who edits it may do."""
    manifest = Manifest.read(folder)
    Manifest(**{**vars(manifest), "hashes": {}}).write(folder)


def block(folder: Path) -> None:
    """A graph that could be read for ever."""
    path = release_layout.model_file(folder.parents[1], "ranker", int(folder.name))
    path.unlink()
    os.mkfifo(path)


@asynccontextmanager
async def serving(repository: Path, folder: Path, *arguments: str) -> AsyncIterator[tuple[RunningGateway, Stubs]]:
    folder.mkdir(exist_ok=True)
    with run_gateway(repository, folder, *arguments) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            yield gateway, Stubs.over(channel)


async def command(repository: Path, *arguments: str, gateways: tuple[RunningGateway, ...] = ()) -> Result:
    urls = [word for each in gateways for word in ("--gateway", str(each.line("ready")["metrics"]))]
    words = [*arguments, "--repository", str(repository), *urls]
    return await asyncio.to_thread(CliRunner().invoke, release, words, env={"COLUMNS": "300"})


async def swap(repository: Path, *arguments: str, gateways: tuple[RunningGateway, ...]) -> None:
    done = await command(repository, *arguments, gateways=gateways)
    assert done.exit_code == 0, done.output


async def metric(gateway: RunningGateway, name: str) -> float | None:
    return (await asyncio.to_thread(read_metrics, gateway)).get(name)


async def until(seen: Callable[[], Awaitable[bool]], seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not await seen():
            await asyncio.sleep(0.05)


async def reasons_of_refusals(gateway: RunningGateway, release: int) -> set[str]:
    """The different reasons that the log gives for refusing a release, once it gives one."""
    found: set[str] = set()

    async def logged() -> bool:  # a thread reads the log: a line may come after the metric has risen
        lines = [line for line in gateway.logged if line["event"] == "release_refused"]
        found.update(line["reason"] for line in lines if line["release"] == release)
        return bool(found)

    await until(logged)
    return found


async def recommend(stubs: Stubs, query: str = "") -> tuple[int, list[float]]:
    answer = await stubs.recommendations.Recommend(RecommendRequest(shopper=HISTORY, query=query), timeout=DEADLINE)
    return answer.release, [item.score for item in answer.items]


async def search(stubs: Stubs) -> tuple[int, list[float]]:
    return await recommend(stubs, "red lamp")


async def rank(stubs: Stubs) -> tuple[int, list[float]]:
    candidates = [{"item": {"item_id": item}} for item in ("desk-lamp-red", "hedge-shears-blue")]
    candidates.append({"item": {"item_id": "mine", "title": "Green lamp"}})
    answer = await stubs.recommendations.Rank(RankRequest(shopper=HISTORY, candidates=candidates), timeout=DEADLINE)
    return answer.release, [item.score for item in answer.items]


async def profile(stubs: Stubs) -> tuple[int, list[float]]:
    request = GetProfileRequest(shopper=HISTORY, fields={"paths": ["embedding", "release"]})
    answer = (await stubs.profiles.GetProfile(request, timeout=DEADLINE)).profile
    return answer.release, list(answer.embedding.values)


ASKS: tuple[Ask, ...] = (recommend, search, rank, profile)


class Load:
    """Callers that ask without a pause, and compare each answer with what the release that it names should say."""

    def __init__(self, stubs: Stubs, expected: dict[tuple[int, Ask], list[float]]) -> None:
        self._stubs, self._expected = stubs, expected
        self._going = True
        self.failures: list[BaseException] = []
        self.mixed: list[tuple[str, int]] = []
        self.answered = {1: 0, 2: 0}

    async def run(self) -> None:
        await asyncio.gather(*(self._ask(ask) for ask in 2 * ASKS))

    def stop(self) -> None:
        self._going = False

    async def _ask(self, ask: Ask) -> None:
        while self._going:
            try:
                named, numbers = await ask(self._stubs)
            except grpc.aio.AioRpcError as error:
                self.failures.append(error)
                continue
            self.answered[named] += 1
            if not np.allclose(numbers, self._expected[named, ask], atol=1e-4):
                self.mixed.append((ask.__name__, named))


async def test_requests_never_fail_nor_mix_while_releases_are_swapped(
    followed: Path, following: RunningGateway, stubs: Stubs
) -> None:
    switches = "portrait_release_switches_total"
    before = await metric(following, switches) or 0
    expected = {(1, ask): (await ask(stubs))[1] for ask in ASKS}
    await swap(followed, "promote", "2", gateways=(following,))
    expected |= {(2, ask): (await ask(stubs))[1] for ask in ASKS}
    for ask in ASKS:
        assert not np.allclose(expected[1, ask], expected[2, ask], atol=1e-2)
    load = Load(stubs, expected)
    running = asyncio.create_task(load.run())
    for _ in range(6):
        await swap(followed, "rollback", gateways=(following,))
    load.stop()
    await running
    assert not load.failures
    assert not load.mixed
    assert min(load.answered.values()) > 10
    assert await metric(following, switches) == before + 7


async def test_a_canary_is_seen_by_its_shoppers_only(followed: Path, following: RunningGateway, stubs: Stubs) -> None:
    shoppers = [f"shopper-{number}" for number in range(40)]
    now = datetime.now(UTC)
    view = {"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "wool-rug-red", "time": now}
    events = [{"shopper_id": each, "event": {"event_id": each, **view}} for each in shoppers]
    refs = [shopper_pb2.ShopperRef(shopper_id=each) for each in shoppers]
    await stubs.events.RecordEvents(RecordEventsRequest(events=events))

    async def releases() -> list[int]:
        many = await stubs.profiles.BatchGetProfiles(BatchGetProfilesRequest(shoppers=refs))
        one_by_one = [(await stubs.recommendations.Recommend(RecommendRequest(shopper=ref))).release for ref in refs]
        assert [result.profile.release for result in many.results] == one_by_one
        return one_by_one

    for percent in (30.0, 60.0):
        await swap(followed, "canary", "2", "--percent", str(percent), gateways=(following,))
        drawn = Traffic(1, canary=2, percent=percent)
        assert await releases() == [drawn.release_of(each) for each in shoppers]
        assert (await recommend(stubs))[0] == 1
    assert await metric(following, "portrait_release_canary") == 2
    assert await metric(following, "portrait_release_canary_percent") == 60
    await swap(followed, "canary", "2", "--percent", "0", gateways=(following,))
    assert set(await releases()) == {1}

    async def unloaded() -> bool:
        return await metric(following, 'portrait_release_loaded{release="2"}') is None

    await until(unloaded)
    assert await metric(following, "portrait_release_canary") == 0


async def test_changes_of_items_reach_every_release(followed: Path, following: RunningGateway, stubs: Stubs) -> None:
    async def finds(query: str, item: str) -> bool:
        request = RecommendRequest(shopper=shopper_pb2.ShopperRef(shopper_id="nobody"), query=query, k=3)
        return item in [each.item.item_id for each in (await stubs.recommendations.Recommend(request)).items]

    assert await finds("gift card", "gift-card")
    early = {"item_id": "early", "title": "Purple hammock", "category_path": ["Garden"]}
    await stubs.catalogue.UpsertItems(UpsertItemsRequest(items=[early]))
    await stubs.catalogue.DeleteItems(DeleteItemsRequest(item_ids=["gift-card"]))
    await swap(followed, "promote", "2", gateways=(following,))
    assert await finds("purple hammock", "early")
    assert not await finds("gift card", "gift-card")
    late = {"item_id": "late", "title": "Yellow parasol", "category_path": ["Garden"]}
    await stubs.catalogue.UpsertItems(UpsertItemsRequest(items=[late]))
    assert (await stubs.catalogue.DeleteItems(DeleteItemsRequest(item_ids=["early"]))).deleted == 1
    await swap(followed, "rollback", gateways=(following,))
    assert await finds("yellow parasol", "late")
    assert not await finds("purple hammock", "early")


async def test_a_broken_release_changes_nothing(repository: Path, tmp_path: Path) -> None:
    gone_wrong(repository, 3, "ranker")
    gone_wrong(repository, 4, release_layout.TOKENIZER)
    damaged(repository, 5, lose_hashes)
    damaged(repository, 6, block)
    shutil.copytree(
        release_layout.release_folder(repository, 1), release_layout.release_folder(repository, 1).with_name("²")
    )
    async with serving(repository, tmp_path / "gateway") as (gateway, stubs):
        for number in (3, 4):
            done = await command(repository, "promote", str(number), gateways=(gateway,))
            assert done.exit_code == 1, done.output
            assert f"refused release {number}" in done.output
            assert (await recommend(stubs))[0] == 1
            assert await metric(gateway, f'portrait_release_refused{{release="{number}"}}') == 1
        for number, named in ((5, "lacks the hash of profile_encoder/5/model.onnx"), (6, "ranker/6/model.onnx")):
            assert (await command(repository, "promote", str(number))).exit_code == 2
            Traffic(number, 1).write(repository)

            async def refused(number: int = number) -> bool:
                return await metric(gateway, f'portrait_release_refused{{release="{number}"}}') == 1

            await until(refused)
            [reason] = await reasons_of_refusals(gateway, number)
            assert named in reason
            assert (await recommend(stubs))[0] == 1
        Traffic(4, 1).write(repository)
        await until(lambda: refused(4))
        assert "refused: 4" in (await command(repository, "list", gateways=(gateway,))).output
        file_of(repository).write_text("{", encoding="utf-8")

        async def misread() -> bool:
            return await metric(gateway, "portrait_traffic_file_invalid") == 1

        await until(misread)
        assert (await recommend(stubs))[0] == 1
        # Triton let go of what it had loaded of the broken ones.
        Traffic(2, 1).write(repository)

        async def swapped() -> bool:
            return (await recommend(stubs))[0] == 2

        await until(swapped)
        assert await metric(gateway, 'portrait_release_refused{release="4"}') is None

    Traffic(3, 2).write(repository)
    async with serving(repository, tmp_path / "gateway") as (gateway, stubs):
        assert (await recommend(stubs))[0] == 2
        assert await metric(gateway, 'portrait_release_refused{release="3"}') == 1


async def test_all_gateways_of_a_repository_follow_but_a_pinned_one(
    followed: Path, following: RunningGateway, stubs: Stubs, tmp_path: Path
) -> None:
    async def releases(*of: Stubs) -> list[int]:
        return [(await recommend(each))[0] for each in of]

    async with serving(followed, tmp_path / "pinned", "--release", "1") as (pinned, at_pinned):
        await swap(followed, "promote", "2", gateways=(following,))
        async with serving(followed, tmp_path / "later") as (later, at_later):
            assert await releases(stubs, at_later, at_pinned) == [2, 2, 1]
            await swap(followed, "rollback", gateways=(following, later))
            assert await releases(stubs, at_later) == [1, 1]
            await swap(followed, "promote", "2", gateways=(following, later))
            assert await releases(stubs, at_later, at_pinned) == [2, 2, 1]
        assert await metric(pinned, "portrait_release") == 1


async def test_a_killed_triton_comes_back_with_every_release(
    followed: Path, following: RunningGateway, stubs: Stubs
) -> None:
    await swap(followed, "promote", "2", gateways=(following,))
    expected, url = await search(stubs), following.triton_url()

    async def answers() -> bool:
        try:
            return await search(stubs) == expected
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            return False

    with killed(following.triton_pid()):
        await until(answers)
    async with InferenceServerClient(url) as client:

        async def has_both() -> bool:
            return all([await client.is_model_ready(model, version) for model in MODELS for version in ("1", "2")])

        await until(has_both)
    await swap(followed, "rollback", gateways=(following,))
    assert (await profile(stubs))[0] == 1


async def test_a_triton_that_others_run_is_asked_to_load_and_never_to_unload(repository: Path, tmp_path: Path) -> None:
    async with EmbeddedTriton(repository, tmp_path / "triton.log") as triton:
        await triton.load(1)
        async with (
            InferenceServerClient(triton.url) as client,
            serving(repository, tmp_path / "gateway", "--triton-url", triton.url) as (gateway, stubs),
        ):
            await swap(repository, "canary", "2", "--percent", "100", gateways=(gateway,))
            await swap(repository, "canary", "2", "--percent", "0", gateways=(gateway,))

            async def unloaded() -> bool:
                return await metric(gateway, 'portrait_release_loaded{release="2"}') is None

            await until(unloaded)
            for model in MODELS:
                assert [await client.is_model_ready(model, version) for version in ("1", "2")] == [True, True]
            await swap(repository, "promote", "2", gateways=(gateway,))
            assert (await recommend(stubs))[0] == 2
