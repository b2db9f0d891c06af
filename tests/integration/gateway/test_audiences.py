"""Audiences from recorded events to named shoppers: a real gateway, tables by the real command."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from support.audience_tables import build_audience_table
from support.gateway import RunningGateway, run_gateway
from support.scrape import scrape
from typer.testing import CliRunner

from portrait.client import (
    ActivityCriterion,
    AsyncClient,
    AudiencePage,
    Client,
    Consent,
    CustomerValueCriterion,
    Event,
    EventType,
    FailedPreconditionError,
    InterestCriterion,
    InvalidRequestError,
    LookAlike,
    NotFoundError,
    Purpose,
    RegionCriterion,
    TraitCriterion,
)
from portrait.client.audience_commands import audience
from portrait.client.audiences import Criterion

NOW = datetime.now(UTC)
ITEMS = ("desk-lamp-red", "wool-rug-blue", "frying-pan-black", "garden-spade-green")
SHOPPERS = 60
MINIMUM = 5
LAMPS = InterestCriterion([("Home", "Lamps")], 0.5)
EVERYBODY = ActivityCriterion(since=NOW - timedelta(days=300))
DOCUMENTATION = Path(__file__).parents[3] / "docs/audiences.md"


def record(client: Client, shoppers: range) -> None:
    client.record_events(
        (
            f"shopper-{number:03}",
            Event(EventType.PURCHASE, uuid4().hex, NOW - timedelta(days=nth + number % 4), item, price=5.0 + number),
        )
        for number in shoppers
        for nth, item in enumerate([ITEMS[number % 4]] * 3 + [ITEMS[(number // 4) % 4]])
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audiences")


@pytest.fixture(scope="module")
def gateway(repository: Path, folder: Path) -> Iterator[RunningGateway]:
    settings = ("--min-audience-size", str(MINIMUM), "--consent-advertising", "unless-withdrawn")
    with run_gateway(repository, folder, *settings) as served:
        with Client(served.address) as client:
            with pytest.raises(FailedPreconditionError, match="portrait build-audience-table"):
                client.estimate_audience([EVERYBODY])
            record(client, range(SHOPPERS))
        assert build_audience_table(served)["shoppers"] == SHOPPERS
        yield served
        assert "shopper-" not in served.log_text
        assert "internal_error" not in {line["event"] for line in served.logged}, served.log_text


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


def named(pages: list[AudiencePage]) -> list[str]:
    return [member.shopper_id for page in pages for member in page.members]


def test_an_audience_is_what_the_profiles_say(client: Client) -> None:
    pages = list(client.find_audience([LAMPS]))
    expected = []
    for number in range(SHOPPERS):
        profile = client.get_profile(f"shopper-{number:03}", fields=["interests"])
        weights = {tuple(each.category_path): each.long_term_weight for each in profile.interests}
        if weights.get(("Home", "Lamps"), 0.0) >= 0.5:
            expected.append(f"shopper-{number:03}")
    assert named(pages) == expected
    assert len(expected) >= MINIMUM
    [page] = pages
    assert page.next_page_token == ""
    assert page.summary.shortfall == ""
    assert page.summary.table_size == SHOPPERS
    assert page.summary.oldest_as_of <= page.members[0].as_of <= page.summary.newest_as_of
    assert client.estimate_audience([LAMPS]).estimated_size == pytest.approx(len(expected), abs=MINIMUM)


@pytest.mark.parametrize("purpose", [Purpose.ADVERTISING, Purpose.PERSONALISATION])
def test_who_withdraws_is_found_no_more(client: Client, purpose: Purpose) -> None:
    client.set_consents("shopper-007", [Consent(purpose, granted=False)])
    whole = [f"shopper-{number:03}" for number in range(SHOPPERS)]
    assert named(list(client.find_audience([EVERYBODY]))) == [each for each in whole if each != "shopper-007"]
    client.set_consents("shopper-007", [Consent(purpose, granted=True)])
    assert named(list(client.find_audience([EVERYBODY]))) == whole


def test_an_audience_for_a_stated_purpose_has_who_allows_it(client: Client) -> None:
    risk = {"x-purpose": "risk"}
    assert client.estimate_audience([EVERYBODY], metadata=risk).shortfall == "audience"
    granting = [f"shopper-{number:03}" for number in range(30, 40)]
    for shopper in granting:
        client.set_consents(shopper, [Consent(Purpose.RISK, granted=True)])
    assert named(list(client.find_audience([EVERYBODY], metadata=risk))) == granting
    assert len(named(list(client.find_audience([EVERYBODY])))) == SHOPPERS


def test_regions_need_a_consent_of_their_own(client: Client) -> None:
    for number in range(20, 27):
        client.set_consents(f"shopper-{number:03}", [Consent(Purpose.DEMOGRAPHICS, granted=True)])
        client.set_demographics(f"shopper-{number:03}", region="US-CA" if number % 2 else "US-NY")
    there = [f"shopper-{number:03}" for number in range(20, 27)]
    asked = [RegionCriterion(["US-CA", "US-NY"])]
    assert named(list(client.find_audience(asked))) == there
    client.set_consents("shopper-025", [Consent(Purpose.DEMOGRAPHICS, granted=False)])
    client.set_consents("shopper-026", [Consent(Purpose.ADVERTISING, granted=False)])
    assert named(list(client.find_audience(asked))) == there[:5]
    assert client.estimate_audience([RegionCriterion(["US-CA"])]).shortfall == "audience"
    client.set_consents("shopper-026", [Consent(Purpose.ADVERTISING, granted=True)])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pages_are_the_whole_and_can_be_gone_on_with_from_each(client: Client, size: int) -> None:
    whole = named(list(client.find_audience([EVERYBODY])))
    pages = list(client.find_audience([EVERYBODY], page_size=size))
    assert named(pages) == whole == [f"shopper-{number:03}" for number in range(SHOPPERS)]
    assert [len(page.members) for page in pages[:-1]] == [size] * (len(pages) - 1)
    for place in range(0, len(pages) - 1, 5):
        rest = client.find_audience([EVERYBODY], page_size=size, page_token=pages[place].next_page_token)
        assert named(pages[: place + 1]) + named(list(rest)) == whole


async def test_the_asynchronous_client_and_a_caller_who_leaves(gateway: RunningGateway) -> None:
    async with AsyncClient(gateway.address) as client:
        pages = client.find_audience([EVERYBODY], page_size=10)
        first = await anext(pages)
        await pages.aclose()  # type: ignore[attr-defined]
        rest = [page async for page in client.find_audience([EVERYBODY], page_token=first.next_page_token)]
        assert len(named([first, *rest])) == len(set(named([first, *rest]))) == SHOPPERS
        assert (await client.estimate_audience([EVERYBODY])).estimated_size == SHOPPERS


@pytest.mark.parametrize(
    "criterion",
    [
        TraitCriterion("buys", 0.0),
        CustomerValueCriterion(segments=["new", "loyal", "occasional"]),
        InterestCriterion(labels=["red desk lamp"], min_percentile=0.2),
        InterestCriterion([("Garden",), ("Kitchen",)]),
    ],
)
def test_each_kind_of_criterion_finds_some(client: Client, criterion: Criterion) -> None:
    found = named(list(client.find_audience([criterion])))
    assert MINIMUM <= len(found) <= SHOPPERS


def test_look_alikes_of_lamp_buyers_buy_lamps(client: Client) -> None:
    lamps = named(list(client.find_audience([InterestCriterion([("Home", "Lamps")], 0.7)])))
    rest = named(list(client.find_audience([LAMPS])))
    [page] = client.find_audience(look_alike=LookAlike(lamps[:MINIMUM], top=5))
    assert {member.shopper_id for member in page.members} <= set(rest) - set(lamps[:MINIMUM])
    assert all(member.similarity is not None and member.similarity > 0.5 for member in page.members)
    by_criteria = list(client.find_audience(look_alike=LookAlike([LAMPS], min_similarity=-1.0)))
    assert set(named(by_criteria)) == {f"shopper-{number:03}" for number in range(SHOPPERS)} - set(rest)


def test_too_few_are_not_named(client: Client) -> None:
    [page] = client.find_audience([InterestCriterion([("No", "Such", "Thing")])])
    assert (page.members, page.summary.shortfall, page.summary.estimated_size) == ((), "audience", 0)
    [page] = client.find_audience(look_alike=LookAlike(["shopper-001"], top=10))
    assert (page.members, page.summary.shortfall) == ((), "seed")
    summary = client.estimate_audience([LAMPS, InterestCriterion([("Garden",)], 0.5)])
    assert (summary.shortfall, summary.estimated_size, summary.minimum_size) == ("audience", 0, MINIMUM)


def test_what_can_not_be_asked_is_refused_with_the_field(client: Client) -> None:
    for criteria, field in (
        ([], "audience"),
        ([InterestCriterion()], "audience.criteria[0].interest"),
        ([LAMPS, TraitCriterion("buys", 0.7, 0.2)], "audience.criteria[1].trait.max_probability"),
        ([ActivityCriterion(NOW, NOW)], "audience.criteria[0].activity.before"),
        ([InterestCriterion([("Home",)], 1.5)], "audience.criteria[0].interest.min_weight"),
    ):
        with pytest.raises(InvalidRequestError) as refused:
            list(client.find_audience(criteria))
        assert [each.field for each in refused.value.violations] == [field]
    for name, why in (("flies", "declares no such trait"), ("rare", "has not learnt this trait: too few")):
        with pytest.raises(NotFoundError, match=why):
            client.estimate_audience([TraitCriterion(name)])
    token = next(client.find_audience([EVERYBODY], page_size=10)).next_page_token
    with pytest.raises(InvalidRequestError, match="of another audience"):
        list(client.find_audience([LAMPS], page_token=token))
    with pytest.raises(InvalidRequestError, match="no token"):
        list(client.find_audience([LAMPS], page_token="nonsense"))


def test_an_answer_outlives_one_table_and_not_two(gateway: RunningGateway, client: Client, folder: Path) -> None:
    pages = client.find_audience([EVERYBODY], page_size=20)
    first = next(pages)
    pages.close()  # type: ignore[attr-defined]
    record(client, range(SHOPPERS, SHOPPERS + 5))
    assert build_audience_table(gateway)["shoppers"] == SHOPPERS + 5
    assert client.estimate_audience([EVERYBODY]).estimated_size == SHOPPERS + 5
    rest = list(client.find_audience([EVERYBODY], page_token=first.next_page_token))
    assert named([first, *rest]) == [f"shopper-{number:03}" for number in range(SHOPPERS)]
    build_audience_table(gateway, "--full")
    with pytest.raises(FailedPreconditionError, match="begin again"):
        list(client.find_audience([EVERYBODY], page_token=first.next_page_token))
    (folder / "audiences").rename(folder / "away")
    with pytest.raises(FailedPreconditionError, match="portrait build-audience-table"):
        list(client.find_audience([EVERYBODY]))
    (folder / "away").rename(folder / "audiences")  # the module's other tests may come later


def test_audiences_follow_links(gateway: RunningGateway, client: Client) -> None:
    login, web = "shopper-000", "shopper-001"
    whole = named(list(client.find_audience([EVERYBODY])))
    others = [each for each in whole if each not in (login, web)]
    client.link_shoppers(login, web, source="login")
    assert named(list(client.find_audience([EVERYBODY]))) == others  # no row describes both ids
    build_audience_table(gateway)
    assert named(list(client.find_audience([EVERYBODY]))) == [login, *others]
    [rug] = [each for each in client.get_profile(login).interests if each.category_path[-1] == "Rugs"]
    asked = InterestCriterion([rug.category_path], rug.long_term_weight - 0.01)
    assert login in named(list(client.find_audience([asked])))
    client.set_consents(web, [Consent(Purpose.ADVERTISING, granted=False)])
    assert named(list(client.find_audience([EVERYBODY]))) == others
    client.set_consents(web, [Consent(Purpose.ADVERTISING, granted=True)])
    client.unlink_shoppers(login, web)
    assert named(list(client.find_audience([EVERYBODY]))) == others
    build_audience_table(gateway)
    assert named(list(client.find_audience([EVERYBODY]))) == whole


def test_the_command_line(gateway: RunningGateway, tmp_path: Path) -> None:
    environment = {"PORTRAIT_ADDRESS": gateway.address, "COLUMNS": "200"}

    def run(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner(env=environment).invoke(audience, arguments)
        return done.exit_code, done.stdout, done.stderr

    code, out, err = run("find", "--interest", "Home > Lamps", "--min-weight", "0.5", "--page-size", "4")
    lamps = out.split()
    assert code == 0
    assert all(re.fullmatch(r"shopper-\d{3}", each) for each in lamps)
    assert re.match(r"about \d+ of \d+ shoppers; release 1, profiles of", err)
    seed = tmp_path / "seed.txt"
    seed.write_text("\n".join(lamps[:6]) + "\n", encoding="utf-8")
    code, out, _ = run("find", "--like", str(seed), "--top", "6", "--json")
    assert code == 0
    assert all(json.loads(line)["similarity"] > 0 for line in out.splitlines())
    code, out, _ = run("estimate", "--trait", "buys=0..1", "--segment", "new", "--segment", "loyal", "--json")
    assert json.loads(out)["minimum_size"] == MINIMUM
    code, out, _ = run("estimate", "--interest", "Nothing")
    assert "fewer than 5 shoppers" in out
    for wrong in (
        [],
        ["--trait", "buys"],
        ["--tier", "best"],
        ["--like", str(seed), "--top", "1", "--min-similarity", "0"],
    ):
        assert run("find", *wrong)[0] == 2
    assert run("find", "--interest", "Home", "--page-token", "nonsense")[0] == 2


@pytest.mark.parametrize(
    "example", re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
)
def test_the_example_of_the_documentation_works(gateway: RunningGateway, example: str) -> None:
    assert "localhost:50051" in example
    program = example.replace("localhost:50051", gateway.address).replace("0.6", "0.0")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, ended.stderr
    assert "shopper-" in ended.stdout


def test_the_metrics_tell_of_audiences(gateway: RunningGateway, client: Client) -> None:
    client.estimate_audience([EVERYBODY])
    text = scrape(gateway)
    assert re.search(r'portrait_audience_searches_total\{outcome="found"\} [1-9]', text)
    assert re.search(r"portrait_audience_table_shoppers [1-9]", text)
    assert 'workload="audiences"' in text
