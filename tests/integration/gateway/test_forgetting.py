"""Forgetting and withdrawn consents in a real gateway of two processes: nothing is shown from the answer on."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from support.audience_tables import build_audience_table
from support.gateway import RunningGateway, run_gateway
from support.scrape import scrape

from portrait.client import (
    ActivityCriterion,
    AsyncClient,
    Client,
    Consent,
    Event,
    EventType,
    FailedPreconditionError,
    InvalidRequestError,
    NotFoundError,
    Purpose,
)
from portrait.v1.profile_service_pb2 import BatchGetProfilesRequest, GetProfileRequest
from portrait.v1.profile_service_pb2_grpc import ProfileServiceStub
from portrait.v1.recommendation_service_pb2 import RecommendRequest
from portrait.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

NOW = datetime.now(UTC)
SHOPPERS = [f"shopper-{number}" for number in range(12)]
EVERYBODY = ActivityCriterion(since=NOW - timedelta(days=30))
CONNECTIONS = 12
"""Enough that the kernel gives some to either of two processes."""


@pytest.fixture(scope="module")
def gateway(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    settings = ("--processes", "2", "--min-audience-size", "3", "--consent-advertising", "unless-withdrawn")
    with run_gateway(repository, tmp_path_factory.mktemp("forgetting"), *settings) as served:
        yield served
        assert "shopper-" not in served.log_text
        assert "internal_error" not in {line["event"] for line in served.logged}, served.log_text


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


@pytest.fixture
def channels(gateway: RunningGateway) -> Iterator[list[grpc.Channel]]:
    """Connections to either process."""
    options = [("grpc.use_local_subchannel_pool", 1)]  # else all share one connection
    with ExitStack() as closing:
        yield [closing.enter_context(grpc.insecure_channel(gateway.address, options)) for _ in range(CONNECTIONS)]


def bought(shopper: str, time: datetime = NOW - timedelta(days=1)) -> list[tuple[str, Event]]:
    return [
        (shopper, Event(EventType.PURCHASE, f"{shopper}-{time:%H%M%S%f}-{item}", time, item, price=5.0))
        for item in ("desk-lamp-red", "wool-rug-blue")
    ]


def test_they_are_unknown_to_every_process_and_nothing_is_given_again(
    channels: list[grpc.Channel], client: Client
) -> None:
    shopper, as_of = f"shopper-{uuid4().hex}", NOW
    events = bought(shopper)
    assert client.record_events(events).accepted == 2
    client.set_consents(shopper, [Consent(Purpose.DEMOGRAPHICS, True)])
    client.set_demographics(shopper, age=30, region="US-CA")
    named = {"shopper": {"shopper_id": shopper}, "as_of": as_of}

    def known() -> set[tuple[int, int]]:
        """Events that profiles and recommendations are made of."""
        found = set()
        for channel in channels:
            ranked = RecommendationServiceStub(channel).Recommend(RecommendRequest(**named))
            batch = BatchGetProfilesRequest(shoppers=[named["shopper"]], as_of=as_of)
            [batched] = ProfileServiceStub(channel).BatchGetProfiles(batch).results
            found.add((ranked.event_count, batched.profile.event_count))
        return found

    # Twice, so that every process has answered from what it keeps.
    assert [known(), known()] == [{(2, 2)}, {(2, 2)}]
    forgotten = client.forget_shopper(shopper)
    assert forgotten.event_count == 2
    assert forgotten.forgotten_at >= NOW
    assert known() == {(0, 0)}
    for channel in channels:
        with pytest.raises(grpc.RpcError) as raised:
            ProfileServiceStub(channel).GetProfile(GetProfileRequest(**named))
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert client.get_consents(shopper).records == ()
    with pytest.raises(FailedPreconditionError):
        client.set_demographics(shopper, age=30)
    with pytest.raises(NotFoundError):
        client.explain_profile(shopper)

    summary = client.record_events(events)
    assert [each.message for each in summary.rejected] == ["the shopper was forgotten after this event"] * 2
    assert client.record_events(bought(shopper, datetime.now(UTC))).accepted == 2
    assert client.get_profile(shopper).event_count == 2


def test_a_table_that_still_names_them_does_not_give_them_out(gateway: RunningGateway, client: Client) -> None:
    def audience(page_token: str = "") -> list[str]:
        pages = client.find_audience([EVERYBODY], page_token=page_token)
        return [each.shopper_id for page in pages for each in page.members if each.shopper_id in SHOPPERS]

    client.record_events(event for shopper in SHOPPERS for event in bought(shopper))
    build_audience_table(gateway)
    assert audience() == sorted(SHOPPERS)
    begun = client.find_audience([EVERYBODY], page_size=2)
    token = next(begun).next_page_token
    begun.close()  # type: ignore[attr-defined]
    gone, back = SHOPPERS[4], SHOPPERS[7]
    for shopper in (gone, back):
        assert client.forget_shopper(shopper).event_count == 2
    assert audience() == sorted({*SHOPPERS} - {gone, back})
    assert not {gone, back} & {*audience(token)}

    client.record_events(bought(back, datetime.now(UTC)))
    client.set_consents(back, [Consent(Purpose.ADVERTISING, True)])
    assert audience() == sorted({*SHOPPERS} - {gone, back})  # what the table says of them is of before
    build_audience_table(gateway)
    assert audience() == sorted({*SHOPPERS} - {gone})
    assert not {gone, back} & {*audience(token)}


def test_no_process_shows_what_was_withdrawn(channels: list[grpc.Channel], client: Client) -> None:
    shopper = f"shopper-{uuid4().hex}"
    request = GetProfileRequest(shopper={"shopper_id": shopper}, fields={"paths": ["demographics"]})

    def shown() -> set[str]:
        profiles = [ProfileServiceStub(channel).GetProfile(request).profile for channel in channels]
        return {profile.demographics.age_band for profile in profiles}

    client.record_events(bought(shopper))
    for age, band in ((20, "18-24"), (30, "25-34"), (40, "35-44"), (50, "45-54")):
        client.set_consents(shopper, [Consent(Purpose.DEMOGRAPHICS, True)])
        client.set_demographics(shopper, age=age)
        # Twice, so that every process has answered from what it keeps.
        assert [shown(), shown()] == [{band}, {band}]
        client.set_consents(shopper, [Consent(Purpose.DEMOGRAPHICS, False)])
        assert shown() == {""}


async def test_anybody_can_be_forgotten_again(gateway: RunningGateway) -> None:
    async with AsyncClient(gateway.address) as client:
        once = await client.forget_shopper("shopper-nobody")
        again = await client.forget_shopper("shopper-nobody")
        assert (once.event_count, again.event_count) == (0, 0)
        assert again.forgotten_at > once.forgotten_at
        with pytest.raises(InvalidRequestError):
            await client.forget_shopper("")


def test_it_is_counted(gateway: RunningGateway, client: Client) -> None:
    client.forget_shopper("shopper-nobody")
    text = scrape(gateway)
    assert 'portrait_rpcs_total{code="OK",method="portrait.v1.ConsentService/ForgetShopper"}' in text
