"""Audiences: what is found is what a filter over the same profiles gives, and too few of them are not named."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence, Set
from datetime import timedelta
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.audience_fixtures import (
    DESCRIPTION,
    DIMENSION,
    NOW,
    STATE,
    TRAITS,
    make_interest,
    make_profile,
    make_table,
    make_value,
)

from portrait.features.population.profile_distribution import ProfileDistribution
from portrait.server.audiences.criteria import (
    ActivityCriterion,
    Audience,
    Criterion,
    CustomerValueCriterion,
    InterestCriterion,
    LookAlike,
    RegionCriterion,
    SeedCriteria,
    SeedShoppers,
    TraitCriterion,
)
from portrait.server.audiences.search import (
    AudienceOutcome,
    AudienceResult,
    AudienceSearch,
    EligibilityFilter,
    round_size,
)
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table import AudienceTable
from portrait.server.audiences.table_merge import MergeSource, merge_tables
from portrait.server.errors import InvalidRequest
from portrait.server.profiles.customer_value import ValueSegment, ValueTier
from portrait.server.profiles.profile import Profile
from portrait.server.rpc.services.page_tokens import PageToken, fingerprint
from portrait.v1 import audience_service_pb2

PATHS = [("Home",), ("Home", "Lamps"), ("Garden",), ("Kitchen", "Pans")]
CLOUD = ProfileDistribution(
    mean=np.array([0.1, 0.0, 0.0, 0.2], dtype=np.float32),
    covariance=np.diag([0.5, 0.2, 0.3, 0.1]).astype(np.float32),
    item_mean=np.zeros(DIMENSION, dtype=np.float32),
)
EVERYBODY = ActivityCriterion(before=NOW + timedelta(1))


def unit(numbers: Sequence[float]) -> NDArray[np.float32]:
    """A unit vector of half precision, as the table holds it."""
    vector = np.array(numbers, dtype=np.float64) + 1e-3
    halved: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float16).astype(np.float32)
    return halved


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, Profile]:
    small = st.sampled_from([0.1, 0.25, 0.5, 0.75])
    numbers = st.lists(st.floats(-1, 1).map(lambda x: round(x, 2)), min_size=DIMENSION, max_size=DIMENSION)
    shoppers = draw(st.lists(st.text("ab.!\0é", min_size=1, max_size=4), unique=True, max_size=25))
    made = {}
    for shopper in shoppers:
        weights = draw(st.dictionaries(st.sampled_from(PATHS), small))
        inferred = draw(st.sampled_from(PATHS))
        worth = draw(st.none() | st.builds(
            make_value, st.sampled_from(list(ValueTier)), st.sampled_from(list(ValueSegment)),
            st.tuples(st.integers(1, 5), st.integers(1, 5), st.none() | st.integers(1, 5)),
        ))  # fmt: skip
        made[shopper] = make_profile(
            interests=[make_interest(path, weight) for path, weight in weights.items()]
            + [make_interest(inferred, 0.0, inferred=True)],
            worth=worth,
            traits={name: draw(st.none() | small) for name in TRAITS},
            vector=draw(st.none() | numbers.map(unit)),
            last=draw(st.none() | st.integers(0, 3).map(lambda days: NOW - timedelta(days))),
        )
    return made


def criteria() -> st.SearchStrategy[Criterion]:
    share, days = st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 3).map(lambda days: NOW - timedelta(days))
    label = st.sampled_from([unit([1, 0, 0, 0]), unit([0, 1, -1, 0])])
    scores = st.integers(0, 5)
    return st.one_of(
        st.builds(InterestCriterion, st.lists(st.sampled_from([*PATHS, ("None",)]), min_size=1), share),
        st.builds(
            InterestCriterion, st.just(()), st.just(0.0), st.lists(label, min_size=1), st.sampled_from([0, 0.3, 0.9, 1])
        ),
        st.builds(TraitCriterion, st.sampled_from(TRAITS), share, share),
        st.builds(
            CustomerValueCriterion,
            st.frozensets(st.sampled_from(list(ValueTier))),
            st.frozensets(st.sampled_from(list(ValueSegment))),
            scores,
            scores,
            scores,
        ),
        st.builds(ActivityCriterion, st.none() | days, st.none() | days),
    )


def meets(criterion: Criterion, each: Profile) -> bool:
    """One profile against one criterion, as the contract says it."""
    match criterion:
        case InterestCriterion():
            weights = {one.category_path: one.long_term_weight for one in each.interests if not one.inferred}
            by_path = any(weights.get(path, 0.0) > 0 and weights[path] >= criterion.min_weight
                          for path in criterion.paths if path in weights)  # fmt: skip
            return by_path or any(_percentile(label, each) >= criterion.min_percentile for label in criterion.labels)
        case TraitCriterion():
            chance = {one.trait.name: one.probability for one in each.traits}[criterion.name]
            return chance is not None and criterion.min_probability <= chance <= criterion.max_probability
        case CustomerValueCriterion():
            worth = each.customer_value
            return (
                worth is not None
                and (not criterion.tiers or worth.tier in criterion.tiers)
                and (not criterion.segments or worth.segment in criterion.segments)
                and worth.recency_score >= criterion.min_recency_score
                and worth.frequency_score >= criterion.min_frequency_score
                and (worth.monetary_score or 0) >= criterion.min_monetary_score
            )
        case ActivityCriterion():
            last = each.last_event_time
            since, before = criterion.since or NOW - timedelta(99), criterion.before or NOW + timedelta(1)
            return last is not None and since <= last < before


def _percentile(label: NDArray[np.float32], each: Profile) -> float:
    if each.embedding is None:
        return -1.0
    score = (each.embedding - CLOUD.mean) @ label / (label @ CLOUD.covariance @ label) ** 0.5
    return NormalDist().cdf(float(score))


async def everybody(last_forgotten: int, last_arrival: int, shopper_ids: Sequence[str]) -> Set[str]:
    assert last_forgotten == 0
    return set(shopper_ids)


def found_in(
    of: Mapping[str, Profile],
    audience: Audience,
    minimum: int = 0,
    permitted: EligibilityFilter = everybody,
    regions: Mapping[str, str] | None = None,
) -> tuple[AudienceResult, list[str]]:
    async def living(wanted: Set[str], shopper_ids: Sequence[str]) -> Set[str]:
        return {shopper_id for shopper_id in shopper_ids if (regions or {}).get(shopper_id) in wanted}

    with TemporaryDirectory() as folder:
        there = make_table(of, Path(folder))
        finder = AudienceSearch(minimum, permitted, living)
        found = asyncio.run(finder.find(audience, there, CLOUD))
        finder.close()
        assert sum(finder.outcomes.values()) == 1
        return found, there.shopper_ids(found.rows)


@pytest.mark.slow
@given(profiles(), st.lists(criteria(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=100)
def test_an_audience_is_what_a_filter_over_the_same_profiles_gives(
    of: dict[str, Profile], wanted: list[Criterion]
) -> None:
    _, named = found_in(of, Audience(wanted))
    assert set(named) == {shopper for shopper, each in of.items() if all(meets(one, each) for one in wanted)}
    assert len(named) == len(set(named))


def similarity(each: Profile, seed: Sequence[Profile]) -> float:
    """As the contract says it."""
    known = [one.embedding for one in seed if one.embedding is not None]
    if each.embedding is None:
        return -9.0
    towards = (np.mean(known, axis=0) if known else np.zeros(DIMENSION)) - CLOUD.mean
    apart = each.embedding - CLOUD.mean
    return float(apart @ towards / np.linalg.norm(apart) / np.linalg.norm(towards))


@pytest.mark.slow
@given(profiles(), st.data(), st.integers(1, 10), st.none() | st.sampled_from([-1.0, 0.0, 0.5]))
@settings(deadline=None, max_examples=75)
def test_look_alikes_are_the_most_similar_of_those_who_meet_the_rest(
    of: dict[str, Profile], data: st.DataObject, top: int, least: float | None
) -> None:
    seed = data.draw(st.sets(st.sampled_from(sorted(of))) if of else st.just(set()))
    wanted = LookAlike(SeedShoppers([*seed, "nobody"]), None if least is not None else top, least)
    found, named = found_in(of, Audience([EVERYBODY], wanted))
    told = {
        shopper: similarity(each, [of[one] for one in seed])
        for shopper, each in of.items()
        if shopper not in seed and meets(EVERYBODY, each) and each.embedding is not None
    }
    assert found.similarity is not None
    assert found.similarity == pytest.approx([told[shopper] for shopper in named], abs=2e-3)
    if least is not None:
        assert all(told[shopper] >= least - 2e-3 for shopper in named)
        assert all(told[shopper] < least + 2e-3 for shopper in told.keys() - set(named))
    else:
        assert len(named) == min(top, len(told))
        worst = min((told[shopper] for shopper in named), default=1.0)
        assert all(told[shopper] <= worst + 2e-3 for shopper in told.keys() - set(named))


def crowd(count: int) -> dict[str, Profile]:
    return {
        f"s{number:03}": make_profile(
            [make_interest(("Home",), 0.5)],
            vector=unit([number % 7 - 3, 1, number % 3, 0]),
            traits=dict.fromkeys(TRAITS),
        )
        for number in range(count)
    }


@pytest.mark.parametrize(("count", "outcome"), [(9, AudienceOutcome.TOO_FEW), (10, AudienceOutcome.FOUND)])
def test_an_audience_below_the_minimum_names_nobody(count: int, outcome: AudienceOutcome) -> None:
    found, named = found_in(crowd(count), Audience([InterestCriterion([("Home",)])]), minimum=10)
    assert found.outcome is outcome
    assert len(named) == (count if outcome is AudienceOutcome.FOUND else 0)


@pytest.mark.parametrize("count", [3, 10])
def test_a_seed_below_the_minimum_is_like_nobody(count: int) -> None:
    for seed in (
        SeedShoppers([f"s{number:03}" for number in range(count)] + ["nobody"] * 20),
        SeedCriteria([InterestCriterion([("Garden",)])]),
    ):
        of = crowd(40) | {
            f"g{number}": make_profile([make_interest(("Garden",), 1.0)], vector=unit([1] * 4))
            for number in range(count)
        }
        found, named = found_in(of, Audience([], LookAlike(seed, top=20)), minimum=10)
        assert found.outcome is (AudienceOutcome.FOUND if count == 10 else AudienceOutcome.SEED_TOO_SMALL)
        assert len(named) == (20 if count == 10 else 0)


def test_who_may_not_be_named_is_left_out_and_counts_for_nothing() -> None:
    async def most(last_forgotten: int, last_arrival: int, shopper_ids: Sequence[str]) -> Set[str]:
        return {shopper_id for shopper_id in shopper_ids if shopper_id != "s004"}

    _, named = found_in(crowd(11), Audience([EVERYBODY]), 10, most)
    assert "s004" not in named
    assert len(named) == 10
    found, named = found_in(crowd(10), Audience([EVERYBODY]), 10, most)
    assert (found.outcome, named) == (AudienceOutcome.TOO_FEW, [])
    seed = SeedShoppers([f"s{number:03}" for number in range(10)])
    found, _ = found_in(crowd(40), Audience([], LookAlike(seed, top=20)), 10, most)
    assert found.outcome is AudienceOutcome.SEED_TOO_SMALL


def test_a_region_is_met_by_who_declared_it() -> None:
    regions = {f"s{number:03}": ("US-CA", "US-TX", "US-NY")[number % 3] for number in range(30)}
    coasts = RegionCriterion(frozenset({"US-CA", "US-NY"}))
    _, named = found_in(crowd(40), Audience([EVERYBODY, coasts]), 5, regions=regions)
    assert named == [f"s{number:03}" for number in range(30) if number % 3 != 1]
    found, _ = found_in(crowd(40), Audience([RegionCriterion(frozenset({"US-FL"}))]), 5, regions=regions)
    assert found.outcome is AudienceOutcome.TOO_FEW
    seed = SeedCriteria([RegionCriterion(frozenset({"US-TX"}))])
    _, named = found_in(crowd(40), Audience([], LookAlike(seed, top=40)), 5, regions=regions)
    assert len(named) == 30


@given(st.integers(0, 10**7), st.integers(1, 1000))
def test_a_size_is_told_in_two_digits_and_steps_of_the_minimum(size: int, minimum: int) -> None:
    told = round_size(size, minimum)
    step = max(minimum, 10 ** (len(str(size)) - 2))
    assert abs(told - size) <= step / 2
    assert told % step == 0
    if size >= minimum:
        assert told > 0


def rows(of: AudienceTable) -> dict[str, tuple[object, ...]]:
    """All that a table says of each shopper."""
    told = {}
    for row, shopper in enumerate(of.shopper_ids(slice(0, len(of)))):
        places = of["interest_path"][row].tolist()
        interests = {
            of.decode_path(place): float(of["interest_weight"][row, at]) for at, place in enumerate(places) if place
        }
        rest = [
            of[name][row].tolist() for name in ("as_of", "last_event", "tier", "segment", "monetary_score", "vector")
        ]
        told[shopper] = (interests, *map(str, rest), str(of["trait"][row].tolist()))
    return told


@pytest.mark.slow
@given(profiles(), st.data())
@settings(deadline=None, max_examples=50)
def test_tables_that_are_merged_say_what_one_of_all_says(of: dict[str, Profile], data: st.DataObject) -> None:
    parts = [data.draw(st.integers(0, 2), label=shopper) for shopper in of]
    with TemporaryDirectory() as folder:
        whole = make_table(of, Path(folder, "whole"))
        sources = []
        for number in range(3):
            part = {shopper: each for (shopper, each), mine in zip(of.items(), parts, strict=True) if mine == number}
            dropped = {"zz": make_profile([make_interest(("Gone",), 1.0)])}  # a row that is not taken
            made = make_table(part | dropped, Path(folder, str(number)))
            sources.append(MergeSource(made, made.find_rows(part)))
        Path(folder, "merged").mkdir()
        merge_tables(sources, DESCRIPTION, Path(folder, "merged"))
        merged = AudienceTable.open(Path(folder, "merged"))
        assert rows(merged) == rows(whole)
        assert merged.shopper_ids(slice(0, len(merged))) == whole.shopper_ids(slice(0, len(whole)))
        described, expected = merged.description, whole.description
        assert (described.oldest_as_of, described.newest_as_of) == (expected.oldest_as_of, expected.newest_as_of)


def test_shoppers_are_found_by_their_ids(tmp_path: Path) -> None:
    of = make_table(crowd(5) | {"s0": make_profile(), "s\0": make_profile(), "é": make_profile()}, tmp_path)
    for shoppers in (["s003"], ["é", "s\0", "s0"], [*crowd(5)]):
        assert sorted(of.shopper_ids(of.find_rows([*shoppers, "nobody", ""]))) == sorted(shoppers)
    assert len(of.find_rows([])) == 0
    assert len(make_table({}, tmp_path / "empty").find_rows(["s003"])) == 0


def test_a_new_snapshot_takes_the_place_of_the_last(tmp_path: Path) -> None:
    snapshots = TableSnapshots(tmp_path, STATE)
    assert snapshots.open_newest("7-a") is None
    for number in (1, 2, 10):
        make_table(crowd(number), tmp_path / "7-a" / ".made", snapshot=number)
        snapshots.publish(tmp_path / "7-a" / ".made", "7-a", number)
        newest = snapshots.open_newest("7-a")
        assert newest is not None
        assert len(newest) == number
    assert snapshots.list_numbers("7-a") == [2, 10]
    before = snapshots.open("7-a", 2)
    assert before is not None
    assert snapshots.open("7-a", 2) is before
    assert snapshots.open("7-a", 1) is None
    assert snapshots.open_newest("7-b") is None


@pytest.mark.parametrize("file", ["table.json", "as_of.npy", "vector.npy", "shopper.npy"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"[" * 100_000, b"\xff\x93NUMPY", bytes(range(256)), None])
def test_a_damaged_table_counts_as_none(tmp_path: Path, file: str, content: bytes | None) -> None:
    snapshots = TableSnapshots(tmp_path, STATE)
    for snapshot in (1, 2):
        make_table(crowd(3), snapshots.release_folder("release") / str(snapshot))
    damaged = snapshots.release_folder("release") / "2" / file
    damaged.unlink()
    if content is None:
        damaged.mkdir()
    else:
        damaged.write_bytes(content)
    for _ in range(2):
        assert snapshots.open("release", 2) is None
        whole = snapshots.open_newest("release")
        assert whole is not None
        assert len(whole) == 3


def test_a_table_of_another_state_counts_as_none(tmp_path: Path) -> None:
    make_table(crowd(3), tmp_path / "release" / "1")
    assert TableSnapshots(tmp_path, STATE).open_newest("release") is not None
    assert TableSnapshots(tmp_path, "restored").open_newest("release") is None


def test_a_table_with_a_column_of_another_table_counts_as_none(tmp_path: Path) -> None:
    snapshots = TableSnapshots(tmp_path, STATE)
    for snapshot, count in ((1, 3), (2, 4)):
        make_table(crowd(count), snapshots.release_folder("release") / str(snapshot))
    shutil.copy(
        snapshots.release_folder("release") / "1" / "vector.npy",
        snapshots.release_folder("release") / "2" / "vector.npy",
    )
    assert snapshots.open("release", 2) is None


def test_page_tokens() -> None:
    one, other = (audience_service_pb2.Audience(look_alike={"top": top}) for top in (1, 2))
    token = PageToken(3, 1_764_000_000_000, 12, fingerprint(one))
    assert PageToken.read(str(token), fingerprint(one)) == token
    assert len(str(token)) <= 200
    for sent, question in ((str(token), other), ("", one), ("nonsense", one), (str(token)[:-4], one), ("é", one)):
        with pytest.raises(InvalidRequest):
            PageToken.read(sent, fingerprint(question))
