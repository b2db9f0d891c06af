"""The most expensive legal request of every RPC: admission counts its work, and no caller can block the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from support import tiny_release
from support.gateway import RunningGateway, Stubs, run_gateway
from support.scrape import read_metrics

from benchmarks.common.worst_case_requests import WORST_CASE_REQUESTS, World, make_history_requests
from portrait.features.profiles.keywords import MAX_KEYWORD_EVENTS
from portrait.server.admission.costs import cost_of
from portrait.server.admission.gate import MAX_UNITS
from portrait.server.admission.request_units import EVENTS_PER_UNIT, count_units, search_units
from portrait.server.rpc.contract.limits import MAX_BATCH_EVENTS
from portrait.server.rpc.contract.validation import find_violations
from portrait.server.rpc.services.registry import SERVICE_NAMES
from portrait.server.storage.histories import MAX_HISTORY_EVENTS
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import UpsertItemsRequest
from portrait.v1.explanation_service_pb2 import ExplainProfileRequest
from portrait.v1.explanation_service_pb2_grpc import ExplanationServiceStub
from portrait.v1.profile_service_pb2 import BatchGetProfilesRequest, GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RankRequest, RecommendRequest
from portrait.v1.text_service_pb2 import EncodeTextsRequest

UNITS = MAX_HISTORY_EVENTS // EVENTS_PER_UNIT
TYPED = search_units(MAX_KEYWORD_EVENTS // 4 * 60, (MAX_HISTORY_EVENTS - MAX_KEYWORD_EVENTS) // 4 * 60)
"""Every fourth event of the world's histories is a search of 60 characters."""
WORLD = World(["heavy-0", "heavy-1", "heavy-2"], [item.item_id for item in tiny_release.ITEMS], ["Home", "Lamps"])
"""Three shoppers have more events than one batch may."""
SECONDS = 600.0
"""Far more than the longest call takes on a busy machine."""
ENDED = {
    grpc.StatusCode.OK, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}  # fmt: skip


@pytest.fixture(scope="module")
def heavy(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that holds the world."""
    options = ("--response-cache-ttl-seconds", "0", "--max-deadline-seconds", str(SECONDS))
    with run_gateway(repository, tmp_path_factory.mktemp("heavy"), *options) as served:
        with grpc.insecure_channel(served.address) as channel:
            record = channel.unary_unary("/portrait.v1.EventService/RecordEvents")
            for shopper in WORLD.shoppers:
                for request in make_history_requests(WORLD, shopper):
                    record(request.SerializeToString())
        yield served


@pytest.fixture
async def stubs(heavy: RunningGateway) -> AsyncIterator[Stubs]:
    async with grpc.aio.insecure_channel(heavy.address) as channel:
        yield Stubs.over(channel)


async def metrics(gateway: RunningGateway) -> dict[str, float]:
    return await asyncio.to_thread(read_metrics, gateway)


async def units(gateway: RunningGateway) -> float:
    """Admission units of all calls so far."""
    shown = (await metrics(gateway)).items()
    return sum(value for name, value in shown if name.startswith("portrait_admission_units_total"))


async def rows(gateway: RunningGateway) -> float:
    """Rows that the models ran so far."""
    return sum(value for name, value in (await metrics(gateway)).items() if name.startswith("portrait_model_rows"))


def methods() -> list[str]:
    return [f"{service}/{method}" for service, method in _described()]


def _described() -> Iterator[tuple[str, str]]:
    for service in SERVICE_NAMES:
        described = descriptor_pool.Default().FindServiceByName(service)
        yield from ((service, method.name) for method in described.methods)


def requests() -> list[tuple[str, str]]:
    return [(method, kind) for method, made in WORST_CASE_REQUESTS.items() for kind in made]


def test_every_rpc_has_a_worst_case_request_and_a_cost() -> None:
    assert sorted(methods()) == sorted(WORST_CASE_REQUESTS)
    assert all(cost_of(method) for method in methods())


@pytest.mark.parametrize(("method", "kind"), requests())
def test_worst_case_requests_keep_the_contract(method: str, kind: str) -> None:
    assert list(find_violations(WORST_CASE_REQUESTS[method][kind](WORLD))) == []


@pytest.mark.parametrize(("method", "kind"), requests())
async def test_the_worst_case_request_is_answered_or_refused_clearly_and_leaves_nothing(
    heavy: RunningGateway, stubs: Stubs, method: str, kind: str
) -> None:
    world = replace(WORLD, shoppers=["forgotten"]) if method.endswith("ForgetShopper") else WORLD
    request = WORST_CASE_REQUESTS[method][kind](world)
    call = stubs.channel.unary_stream(f"/{method}")(request.SerializeToString(), timeout=SECONDS)
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError:
        assert await call.details()
    assert await call.code() in ENDED
    assert await under_way(heavy) == 0


async def under_way(gateway: RunningGateway) -> float:
    """Units under way when nothing more changes."""
    async with asyncio.timeout(SECONDS):
        while True:
            shown = await metrics(gateway)
            left = sum(value for name, value in shown.items() if name.startswith("portrait_admission_running_units"))
            if not left:
                return left
            await asyncio.sleep(0.05)


async def counted(gateway: RunningGateway, call: "grpc.aio.Call") -> float:
    """Units of a call that is answered."""
    before = await units(gateway)
    await call  # type: ignore[misc]
    await under_way(gateway)
    return await units(gateway) - before


def ref(shopper: str) -> shopper_pb2.ShopperRef:
    return shopper_pb2.ShopperRef(shopper_id=shopper)


async def test_profiles_are_counted_by_the_events_that_are_read(heavy: RunningGateway, stubs: Stubs) -> None:
    one = stubs.profiles.GetProfile(GetProfileRequest(shopper=ref("heavy-0")))
    assert await counted(heavy, one) == 1 + UNITS + int(TYPED)
    twice = BatchGetProfilesRequest(shoppers=[ref("heavy-0"), ref("heavy-1")] * 100)
    assert await counted(heavy, stubs.profiles.BatchGetProfiles(twice)) == 2 * (1 + UNITS) + int(2 * TYPED)


def typing(searches: int, characters: int = 1_000) -> shopper_pb2.ShopperRef:
    """A shopper who typed so much."""
    events = [
        event_pb2.Event(type=event_pb2.EVENT_TYPE_SEARCH, query=f"{n} {'lamp ' * 200}"[:characters])
        for n in range(searches)
    ]
    return shopper_pb2.ShopperRef(history=shopper_pb2.History(events=events))


async def test_calls_are_counted_by_what_the_shopper_typed(heavy: RunningGateway, stubs: Stubs) -> None:
    recommend = stubs.recommendations.Recommend(RecommendRequest(shopper=typing(50)))
    assert await counted(heavy, recommend) == 1 + int(search_units(50_000))
    profile = stubs.profiles.GetProfile(GetProfileRequest(shopper=typing(200)))
    assert await counted(heavy, profile) == 1 + int(search_units(200_000))
    older = stubs.profiles.GetProfile(GetProfileRequest(shopper=typing(MAX_KEYWORD_EVENTS + 200, 100)))
    events = (MAX_KEYWORD_EVENTS + 200) // EVENTS_PER_UNIT
    assert await counted(heavy, older) == 1 + events + int(search_units(100 * MAX_KEYWORD_EVENTS, 20_000))
    short = stubs.profiles.BatchGetProfiles(BatchGetProfilesRequest(shoppers=[typing(20, 30 + n) for n in range(9)]))
    assert await counted(heavy, short) == 9 + int(search_units(20 * sum(30 + n for n in range(9))))


async def test_of_a_batch_that_typed_too_much_each_is_served_or_fails_by_itself(
    heavy: RunningGateway, stubs: Stubs
) -> None:
    batch = BatchGetProfilesRequest(shoppers=[typing(30, 1_000 - n) for n in range(64)], fields={"paths": ["keywords"]})
    answer = await stubs.profiles.BatchGetProfiles(batch)
    served = [result for result in answer.results if result.HasField("profile")]
    failed = [result.error for result in answer.results if result.HasField("error")]
    assert len(served) >= 16
    assert failed
    assert {error.code for error in failed} == {grpc.StatusCode.FAILED_PRECONDITION.value[0]}
    assert f"one call may be {MAX_UNITS}" in failed[0].message
    assert await under_way(heavy) == 0


async def test_a_shopper_who_stands_often_in_a_batch_is_computed_once(heavy: RunningGateway, stubs: Stubs) -> None:
    before = await rows(heavy)
    batch = BatchGetProfilesRequest(shoppers=[ref("heavy-0")] * 256, fields={"paths": ["embedding", "event_count"]})
    answer = await stubs.profiles.BatchGetProfiles(batch)
    assert len(answer.results) == 256
    assert len({result.SerializeToString(deterministic=True) for result in answer.results}) == 1
    assert answer.results[0].profile.event_count == MAX_HISTORY_EVENTS
    profiles = (await metrics(heavy))['portrait_model_rows_total{model="profile_encoder"}']
    await stubs.profiles.BatchGetProfiles(batch)
    assert (await metrics(heavy))['portrait_model_rows_total{model="profile_encoder"}'] - profiles == 1
    assert await rows(heavy) - before <= 2 + 64  # a row for each search that the models read, and one for the profile


async def test_a_batch_goes_as_far_as_its_events_allow(stubs: Stubs) -> None:
    batch = BatchGetProfilesRequest(shoppers=[*map(ref, WORLD.shoppers), ref("nobody")])
    answer = await stubs.profiles.BatchGetProfiles(batch)
    assert [result.WhichOneof("result") for result in answer.results] == ["profile", "profile", "error", "error"]
    assert f"{MAX_BATCH_EVENTS} events" in answer.results[2].error.message
    assert answer.results[2].error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert answer.results[3].error.code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_candidates_and_texts_that_are_alike_are_computed_once(heavy: RunningGateway, stubs: Stubs) -> None:
    before = await metrics(heavy)
    candidates = [
        {"item": {"item_id": "new", "title": "Unheard of lamp"}},
        {"item": {"item_id": "desk-lamp-red"}},
    ] * 500
    request = RankRequest(shopper=ref("heavy-0"), candidates=candidates)
    answer = await stubs.recommendations.Rank(request)
    assert sorted(each.item.item_id for each in answer.items) == ["desk-lamp-red"] * 500 + ["new"] * 500
    assert len({each.score for each in answer.items}) == 2
    await stubs.texts.EncodeTexts(EncodeTextsRequest(texts=["Never before seen"] * 256))
    await stubs.catalogue.UpsertItems(
        UpsertItemsRequest(
            catalogue="alike", items=[{"item_id": "one", "title": f"Version {n % 2}"} for n in range(500)]
        )
    )
    after, texts = await metrics(heavy), 'portrait_model_rows_total{model="text_encoder"}'
    assert after[texts] - before[texts] <= 3 + 64  # of the shopper, each search


async def test_what_can_never_be_let_in_is_refused_for_good_and_at_once(heavy: RunningGateway, stubs: Stubs) -> None:
    explain = ExplanationServiceStub(stubs.channel).ExplainProfile
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await explain(ExplainProfileRequest(shopper=ref("heavy-0"), interest={"names": ["Home", "Lamps"]}))
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert f"one call may be {MAX_UNITS}" in str(raised.value.details())
    assert await under_way(heavy) == 0


async def test_an_interest_of_thousands_of_events_is_explained(heavy: RunningGateway, stubs: Stubs) -> None:
    now = int(time.time())
    events = [
        event_pb2.Event(
            event_id=f"e{n}", type=event_pb2.EVENT_TYPE_VIEW, item_id="desk-lamp-red", time={"seconds": now - 60 * n}
        )
        for n in range(6_000)
    ]
    request = ExplainProfileRequest(shopper={"history": {"events": events}}, interest={"names": ["Home", "Lamps"]})
    explain = ExplanationServiceStub(stubs.channel).ExplainProfile
    answer = await explain(request)
    assert answer.event_count == 6_000
    assert answer.weight == pytest.approx(1.0)
    assert await under_way(heavy) == 0


async def test_a_cancelled_call_stops_working(heavy: RunningGateway, stubs: Stubs) -> None:
    explain = ExplanationServiceStub(stubs.channel).ExplainProfile
    before = await rows(heavy)
    call = explain(ExplainProfileRequest(shopper=ref("heavy-0")))
    async with asyncio.timeout(SECONDS):
        while await rows(heavy) == before:
            await asyncio.sleep(0.01)
    call.cancel()
    assert await under_way(heavy) == 0
    ran = await rows(heavy)
    await stubs.recommendations.Recommend(RecommendRequest(shopper=shopper_pb2.ShopperRef(history={})))
    assert await rows(heavy) - ran <= 1  # the ranker's row of the recommendation


def asked(count: int) -> list[Message]:
    """Requests that ask for so much of something."""
    return [
        GetProfileRequest(shopper={"history": {"events": [{}] * (20 * count)}}),
        GetProfileRequest(
            label_examples=[{"shoppers": [{"shopper_id": f"{label}-{n}"} for n in range(16)]} for label in range(count)]
        ),
        BatchGetProfilesRequest(shoppers=[{"shopper_id": f"{n}"} for n in range(count)]),
        RankRequest(candidates=[{"item": {"item_id": "a", "title": f"title {n}"}} for n in range(count)]),
        EncodeTextsRequest(texts=[f"text {n}" for n in range(count)]),
        UpsertItemsRequest(items=[{"item_id": f"item {n}"} for n in range(count)]),
    ]


def test_units_grow_with_what_is_asked_for() -> None:
    for few, many in zip(asked(20), asked(256), strict=True):
        assert (count_units(many, many.ByteSize()) or 0) >= 8 * (count_units(few, few.ByteSize()) or 0)
