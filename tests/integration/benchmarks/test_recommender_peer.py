"""The recommender that benchmarks compare the gateway with does the same work: its answers are the gateway's."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from support import tiny_release
from support.gateway import Stubs, run_gateway

from benchmarks.serving.peer.recommender import Recommender
from portrait.v1 import event_pb2
from portrait.v1.recommendation_service_pb2 import RecommendRequest


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model_repository")
    tiny_release.build(folder)
    return folder


@pytest.fixture
async def stubs(repository: Path, tmp_path: Path) -> AsyncIterator[Stubs]:
    with run_gateway(repository, tmp_path) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            yield Stubs.over(channel)


@pytest.fixture(scope="module")
def recommender(repository: Path) -> Recommender:
    return Recommender(repository)


REQUESTS = (
    (["desk-lamp-red"], ""),
    (["wool-rug-green", "frying-pan-blue", "no such item"], ""),
    (["wool-rug-green", "desk-lamp-red"], "red lamp"),
    ([], "blue pan"),
)
"""Items that were viewed, and what is asked for."""


async def test_the_recommender_of_the_benchmarks_answers_as_the_gateway(stubs: Stubs, recommender: Recommender) -> None:
    for items, query in REQUESTS:
        views = [{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": item} for item in items]
        request = RecommendRequest(shopper={"history": {"events": views}}, k=5, query=query)
        expected = await stubs.recommendations.Recommend(request, timeout=30)
        found = recommender.recommend(request)
        assert [each.item for each in found.items] == [each.item for each in expected.items]
        for one, other in zip(found.items, expected.items, strict=True):
            assert one.score == pytest.approx(other.score, rel=1e-3, abs=1e-3)
            assert one.click_probability == pytest.approx(other.click_probability, rel=1e-2, abs=1e-4)
