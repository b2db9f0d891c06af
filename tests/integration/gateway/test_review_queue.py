"""The review queue of a real gateway, from recorded events to the reviews that empty it."""

import json
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.audience_tables import build_audience_table
from support.command_line import run_portrait
from support.gateway import RunningGateway, run_gateway

from portrait.client import (
    Client,
    Event,
    EventType,
    FailedPreconditionError,
    InvalidRequestError,
    Review,
    ReviewAction,
    ReviewQueueEntry,
    ReviewQueueKind,
    ReviewTarget,
)
from portrait.features.release.layout import MANIFEST, release_folder

NOW = datetime.now(UTC)
SHOPPERS = 42
RUGS, LAMPS = ("Home", "Rugs"), ("Home", "Lamps")
TOPICS = '[topics.fibres]\nwords = ["wool", "cotton"]\n'
MANY, ONCE = "desk-lamp-red", "frying-pan-black"


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose trait `lapses` was distributed otherwise on its test, and `buys` was not well calibrated."""
    folder = tmp_path_factory.mktemp("review-queue")
    shutil.copytree(repository, folder / "models")
    path = release_folder(folder / "models", 1) / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    lapses, _, buys = manifest["traits"]
    lapses["distribution"] = {"edges": [0.001, 0.999], "counts": [500, 0, 500]}
    buys["test"]["calibration_error"]["value"] = 0.125
    path.write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "topics.toml").write_text(TOPICS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[RunningGateway]:
    sensitive = ("--sensitive", str(folder / "topics.toml"))
    with run_gateway(folder / "models", folder, "--min-audience-size", "5", *sensitive) as served:
        with Client(served.address) as client:
            with pytest.raises(FailedPreconditionError, match="portrait build-audience-table"):
                client.list_review_queue()
            client.record_events(
                (f"shopper-{nth}", Event(EventType.VIEW, f"e{place}", NOW - timedelta(days=days), item))
                for nth in range(SHOPPERS)
                for place, (item, days) in enumerate([(MANY, each) for each in range(9)] + [(ONCE, 900)])
            )
        build_audience_table(served, *sensitive)
        yield served
        assert "internal_error" not in {line["event"] for line in served.logged}, served.log_text


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


def keys_of(entries: tuple[ReviewQueueEntry, ...]) -> list[tuple[ReviewQueueKind, tuple[str, ...] | str]]:
    return [(each.kind, tuple(each.target.interest) or each.target.trait) for each in entries]


def test_each_kind_is_listed_with_its_figures_and_without_a_shopper(client: Client) -> None:
    page = client.list_review_queue()
    found = dict(zip(keys_of(page.entries), page.entries, strict=True))
    kind = ReviewQueueKind
    assert set(found) == {
        (kind.LOW_CONFIDENCE, ("Kitchen",)), (kind.LOW_CONFIDENCE, ("Kitchen", "Pans")),
        (kind.LOW_CONFIDENCE, "buys"), (kind.DRIFT, "lapses"), (kind.SENSITIVE_NEAR_MISS, RUGS),
    }  # fmt: skip
    assert [each.shoppers for each in page.entries] == [40, 40, 40, 40, 0]  # nobody has an interest in rugs
    pans = found[kind.LOW_CONFIDENCE, ("Kitchen", "Pans")]
    [interest] = [
        each for each in client.get_profile("shopper-0").interests if tuple(each.category_path) == ("Kitchen", "Pans")
    ]
    assert pans.value == pytest.approx(interest.confidence, rel=1e-3)
    assert pans.value < pans.threshold == 0.15
    assert found[kind.LOW_CONFIDENCE, "buys"].value == 0.125
    assert found[kind.DRIFT, "lapses"].value > found[kind.DRIFT, "lapses"].threshold == 0.25
    rugs = found[kind.SENSITIVE_NEAR_MISS, RUGS]
    assert (rugs.topic, rugs.value >= rugs.threshold / 2) == ("fibres", True)
    assert "shopper-" not in str(page)
    assert (page.release, page.next_page_token, page.snapshot.isdigit()) == (1, "", True)
    for each in kind:
        chosen = client.list_review_queue(kind=each).entries
        assert chosen == tuple(entry for entry in page.entries if entry.kind == each)


def test_a_reviewer_who_decides_page_by_page_misses_nothing(client: Client) -> None:
    whole, seen, token = client.list_review_queue().entries, [], ""
    targets: list[ReviewTarget] = []
    try:
        while True:
            page = client.list_review_queue(page_size=2, page_token=token)
            seen += page.entries
            for each in page.entries:
                # A blocked interest would take those below it out of later pages.
                action = ReviewAction.BLOCK if each.target.trait else ReviewAction.KEEP
                client.set_review(Review(each.target, action, reviewed_by="ana"))
                targets.append(each.target)
            token = page.next_page_token
            if not token:
                break
        assert keys_of(tuple(seen)) == keys_of(whole)
        assert client.list_review_queue().entries == ()
    finally:
        for target in targets:
            client.remove_review(target)
    assert client.list_review_queue().entries == whole


def test_a_review_for_one_shopper_decides_nothing_for_the_others(client: Client) -> None:
    whole = client.list_review_queue().entries
    target = ReviewTarget(trait="buys", shopper_id="shopper-0")
    client.set_review(Review(target, ReviewAction.BLOCK, reviewed_by="ana"))
    assert client.list_review_queue().entries == whole
    client.remove_review(target)


def test_what_is_kept_is_as_without_a_review(client: Client) -> None:
    as_of = NOW + timedelta(minutes=1)
    everywhere, own = (ReviewTarget(interest=LAMPS, **{scope: value}) for scope, value in  # type: ignore[arg-type]
                       (("all_shoppers", True), ("shopper_id", "shopper-1")))  # fmt: skip

    def interests(shopper: str) -> list[object]:
        profile = client.get_profile(shopper, fields=["interests"], as_of=as_of)
        return [profile.interests, profile.reviewed_by]

    before = interests("shopper-1")
    client.set_review(Review(everywhere, ReviewAction.KEEP, reviewed_by="ana"))
    assert interests("shopper-1") == before
    client.set_review(Review(everywhere, ReviewAction.CORRECT, 0.1, reviewed_by="ana"))
    assert interests("shopper-1") != before
    client.set_review(Review(own, ReviewAction.KEEP, reviewed_by="bo"))
    assert interests("shopper-1") == before
    client.set_review(Review(everywhere, ReviewAction.BLOCK, reviewed_by="ana"))
    assert interests("shopper-1") != before  # what is blocked for more shoppers stays blocked
    for target in (everywhere, own):
        client.remove_review(target)
    with pytest.raises(InvalidRequestError, match="takes no value"):
        client.set_review(Review(own, ReviewAction.KEEP, 0.5, reviewed_by="bo"))
    with pytest.raises(InvalidRequestError, match="can only block"):
        client.set_review(Review(ReviewTarget(rule="r", all_shoppers=True), ReviewAction.KEEP, reviewed_by="bo"))


@pytest.mark.parametrize("of", ["drift", "nothing"])
def test_a_token_of_another_queue_is_refused(client: Client, of: str) -> None:
    token = client.list_review_queue(page_size=1).next_page_token if of == "drift" else "nonsense"
    with pytest.raises(InvalidRequestError, match="page_token"):
        client.list_review_queue(kind=ReviewQueueKind.DRIFT, page_token=token)


def test_the_command_prints_commands_that_empty_the_queue(gateway: RunningGateway) -> None:
    at = ("--address", gateway.address)
    listed = run_portrait("review", "queue", *at)
    header, *rows = (line.split("\t") for line in listed.stdout.splitlines())
    assert header == ["kind", "what", "shoppers", "measure", "value", "threshold", "why", "command"]
    assert len(rows) == 5
    assert "shopper-" not in listed.stdout
    commands = [shlex.split(row[-1].replace('"$USER"', "ana"))[1:] for row in rows]
    for command in commands:
        assert run_portrait(*command, *at).code == 0
    assert run_portrait("review", "queue", *at, "--json").stdout == ""
    for command in commands:
        run_portrait("review", "remove", *(each for each in command[2:] if each[:4] not in ("--bl", "--by")), *at)
    [row] = run_portrait("review", "queue", *at, "--json", "--limit", "1").stdout.splitlines()
    assert json.loads(row)["command"].startswith("portrait review set --all --")
