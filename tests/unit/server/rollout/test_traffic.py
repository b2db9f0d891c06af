import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from portrait.features.release.manifest import ReleaseError
from portrait.server.rollout.traffic import Traffic, TrafficError, file_of

shopper_ids = some.text(min_size=1, max_size=20)
shares = some.floats(min_value=0.001, max_value=100)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "releases").mkdir()
    return tmp_path


def test_what_is_written_is_read(repository: Path) -> None:
    for traffic in (Traffic(1), Traffic(2, 1), Traffic(2, 1, 3, 12.5)):
        traffic.write(repository)
        assert Traffic.read(repository) == Traffic.of(repository) == traffic
    assert list(file_of(repository).parent.iterdir()) == [file_of(repository)]


def test_without_a_file_the_newest_release_serves(repository: Path) -> None:
    assert Traffic.read(repository) is None
    with pytest.raises(ReleaseError, match="holds no release"):
        Traffic.of(repository)
    for number in ("2", "10"):
        (repository / "releases" / number).mkdir()
        (repository / "releases" / number / "manifest.json").touch()
    assert Traffic.of(repository) == Traffic(10)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "{}",
        '{"serving": 0}',
        '{"serving": true}',
        '{"serving": "1"}',
        '{"serving": null}',
        '{"serving": 1, "previous": -1}',
        '{"serving": 1, "canary": 2}',
        '{"serving": 1, "percent": 5}',
        '{"serving": 1, "canary": 1, "percent": 5}',
        '{"serving": 1, "canary": 2, "percent": 101}',
        '{"serving": 1, "canary": 2, "percent": NaN}',
        '{"serving": 1, "canary": 2, "percent": "5"}',
        '{"serving": 1, "more": 2}',
        "\udcff",
    ],
)
def test_a_file_that_says_anything_else_is_refused(repository: Path, text: str) -> None:
    file_of(repository).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(TrafficError, match=r"traffic\.json"):
        Traffic.read(repository)


def test_a_promotion_ends_a_canary_and_can_be_taken_back() -> None:
    promoted = Traffic(1, canary=2, percent=5).promoted(2)
    assert promoted == Traffic(2, 1)
    assert promoted.promoted(2) == promoted
    assert promoted.rolled_back() == Traffic(1, 2)
    assert promoted.rolled_back().rolled_back() == promoted
    with pytest.raises(TrafficError, match="nothing to return to"):
        Traffic(1).rolled_back()


def test_a_canary_is_tried_and_ended() -> None:
    tried = Traffic(2, 1).with_canary(3, 5)
    assert (tried.routed, tried.kept) == ((2, 3), {1, 2, 3})
    assert tried.with_canary(3, 0) == Traffic(2, 1)
    assert tried.rolled_back() == Traffic(1, 2)
    with pytest.raises(TrafficError, match="its own canary"):
        Traffic(2).with_canary(2, 5)


@given(shopper_ids, shares, shares)
def test_a_shopper_stays_with_a_canary_that_grows(shopper: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    few, many = Traffic(1, canary=2, percent=less), Traffic(1, canary=2, percent=more)
    assert few.release_of(shopper) == few.release_of(shopper)
    assert few.release_of(shopper) <= many.release_of(shopper)
    assert Traffic(1, canary=2, percent=100).release_of(shopper) == 2


@pytest.mark.parametrize("percent", [1.0, 20.0, 75.0])
def test_so_many_shoppers_see_the_canary(percent: float) -> None:
    shoppers = [f"shopper-{number}" for number in range(20_000)]
    canaries = [Traffic(1, canary=canary, percent=percent) for canary in (2, 3)]
    drawn = [{each for each in shoppers if traffic.release_of(each) != 1} for traffic in canaries]
    expected = len(shoppers) * percent / 100
    tolerance = 5 * (expected * (1 - percent / 100)) ** 0.5
    assert all(abs(len(each) - expected) < tolerance for each in drawn)
    # Another canary draws others: both are as likely as chance has it.
    both, chance = len(drawn[0] & drawn[1]), len(shoppers) * (percent / 100) ** 2
    assert abs(both - chance) < 5 * chance**0.5 + 1


def test_the_draw_is_the_same_in_every_gateway() -> None:
    """Pinned: gateways of two versions of Portrait must agree, and a shopper must not change sides with an upgrade."""
    drawn = [Traffic(1, canary=2, percent=50).release_of(f"shopper-{number}") for number in range(8)]
    assert drawn == [2, 1, 2, 2, 2, 2, 1, 2]


def test_who_has_no_id_stays_with_the_release_that_serves() -> None:
    assert Traffic(1, canary=2, percent=100).release_of("") == 1


def test_the_file_is_for_people_too(repository: Path) -> None:
    Traffic(3, 2, 4, 5).write(repository)
    assert json.loads(file_of(repository).read_text(encoding="utf-8")) == {
        "serving": 3,
        "previous": 2,
        "canary": 4,
        "percent": 5,
    }
