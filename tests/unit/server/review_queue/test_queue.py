"""The review queue of a small audience table and the items of a tiny release, worked out by hand."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from support import tiny_release
from support.audience_fixtures import DESCRIPTION, make_interest, make_profile, make_table

from portrait.features.population.probability_distribution import ProbabilityDistribution
from portrait.features.release.layout import MODELS
from portrait.server.audiences.trait_calibration import TraitCalibration
from portrait.server.release.release import Release
from portrait.server.review_queue.entry import Measure, QueueEntry, QueueKind
from portrait.server.review_queue.near_misses import find_near_misses
from portrait.server.review_queue.queue import ReviewQueue, drop_decided, find_entries
from portrait.server.reviews.review import SHARED, Review, ReviewAction, ReviewTarget, Segment, Subject, SubjectKind
from portrait.server.sensitivity.release_topics import ReleaseTopics
from portrait.server.sensitivity.topic_file import NO_TOPICS, DataUse, Topic, TopicPolicy

RUGS, LAMPS, HOME = ("Home", "Rugs"), ("Home", "Lamps"), ("Home",)
FIBRES = {"fibres": Topic(words=("wool", "cotton"))}
MINIMUM = 5


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("models")
    for model in MODELS:
        (folder / model).mkdir()
    tiny_release.build(folder, traits=True)
    return Release.load(folder, 1)


def with_traits(release: Release, **changes: object) -> Release:
    """The release with a first trait that is changed."""
    first, *others = release.traits
    changed = dataclasses.replace(release)
    changed.__dict__["traits"] = [dataclasses.replace(first, **changes), *others]  # type: ignore[arg-type]
    return changed


def list_entries(
    release: Release,
    folder: Path,
    shoppers: int,
    chance: float | None = None,
    calibrations: Sequence[dict[str, object]] = (),
) -> list[QueueEntry]:
    """Entries of a table in which all shoppers like lamps, and are unsure of rugs."""
    unsure = dataclasses.replace(make_interest(RUGS, 0.1), confidence=0.125)
    traits = {release.traits[0].name: chance}
    profiles = {f"s{nth}": make_profile([make_interest(LAMPS, 0.5), unsure], traits=traits) for nth in range(shoppers)}
    names = [each.name for each in release.traits if not each.absent]
    description = dataclasses.replace(DESCRIPTION, traits=names, calibrations=[*calibrations])
    table = make_table(profiles, folder, description)
    return find_entries(release, ReleaseTopics(NO_TOPICS, release), table, MINIMUM)


def test_an_interest_that_many_have_on_little_evidence_is_listed(release: Release, tmp_path: Path) -> None:
    [entry] = list_entries(release, tmp_path, 42)
    assert (entry.kind, entry.subject) == (QueueKind.LOW_CONFIDENCE, Subject(SubjectKind.INTEREST, RUGS))
    assert (entry.measure, entry.value, entry.threshold) == (Measure.CONFIDENCE, 0.125, 0.15)
    assert entry.shoppers == 40  # rounded as audiences are


def test_too_few_shoppers_are_not_counted(release: Release, tmp_path: Path) -> None:
    assert list_entries(release, tmp_path, MINIMUM - 1) == []
    assert list_entries(release, tmp_path / "none", 0) == []


@pytest.mark.parametrize(
    ("auc", "calibration_error", "expected"),
    [
        (0.75, 0.02, None),
        (None, None, None),
        (0.625, 0.25, (Measure.AUC, 0.625, 0.7)),
        (0.75, 0.25, (Measure.CALIBRATION_ERROR, 0.25, 0.05)),
    ],
)
def test_a_trait_that_its_test_does_not_support_is_listed(
    release: Release, tmp_path: Path, auc: float | None, calibration_error: float | None, expected: object
) -> None:
    weak = with_traits(release, auc=auc, calibration_error=calibration_error)
    found = [each for each in list_entries(weak, tmp_path, 20, 0.5) if each.subject.kind is SubjectKind.TRAIT]
    assert [(each.measure, each.value, each.threshold) for each in found] == ([expected] if expected else [])
    assert not [each for each in list_entries(weak, tmp_path / "absent", 20) if each.subject.kind is SubjectKind.TRAIT]


@pytest.mark.parametrize(("chance", "drifted"), [(0.25, True), (0.75, False)])
def test_a_trait_is_listed_if_its_probabilities_are_distributed_otherwise(
    release: Release, tmp_path: Path, chance: float, drifted: bool
) -> None:
    expected = ProbabilityDistribution((0.5,), (10, 990))
    found = list_entries(with_traits(release, distribution=expected), tmp_path, 50, chance)
    assert [each.subject.names for each in found if each.kind is QueueKind.DRIFT] == [("lapses",)] * drifted


def test_chance_is_no_drift(release: Release, tmp_path: Path) -> None:
    """Six shoppers may all stand on one side of an even split by chance."""
    expected = ProbabilityDistribution(tuple(each / 10 for each in range(1, 10)), (100,) * 10)
    changed = with_traits(release, distribution=expected)
    few = [each for each in list_entries(changed, tmp_path / "few", 6, 0.5) if each.kind is QueueKind.DRIFT]
    many = [each for each in list_entries(changed, tmp_path / "many", 60, 0.5) if each.kind is QueueKind.DRIFT]
    assert (few, len(many)) == ([], 1)


@pytest.mark.parametrize(("positives", "threshold"), [(500, None), (515, None), (300, 0.02), (700, -0.02)])
def test_a_trait_is_listed_if_what_came_true_since_excludes_its_test(
    release: Release, tmp_path: Path, positives: int, threshold: float | None
) -> None:
    outcomes = np.arange(1000) < positives
    found = TraitCalibration.measure("lapses", "2026-02-01T00:00:00+00:00", np.full(1000, 0.5), outcomes)
    assert (found.low + found.high) / 2 == pytest.approx(found.excess) == pytest.approx(0.5 - positives / 1000)
    known = [dataclasses.asdict(found)]
    entries = list_entries(release, tmp_path, 20, 0.5, known)
    drifted = [each for each in entries if each.kind is QueueKind.DRIFT]
    assert [each.threshold for each in drifted] == ([] if threshold is None else [threshold])
    for each in drifted:
        assert (each.measure, each.subject.names) == (Measure.EXCESS, ("lapses",))
        assert each.value == pytest.approx(0.5 - positives / 1000)
        assert each.reason == f"said 50% on 2026-02-01, and {positives / 10:.0f}% came true"
    earlier = with_traits(release, excess=None)
    assert QueueKind.DRIFT not in {each.kind for each in list_entries(earlier, tmp_path / "earlier", 20, 0.5, known)}


def test_a_category_whose_items_are_near_to_a_topic_is_a_near_miss(release: Release) -> None:
    [found] = find_near_misses(release, ReleaseTopics(TopicPolicy(FIBRES), release))
    assert (found.path, found.topic) == (RUGS, "fibres")
    vectors = np.asarray(release.vectors, dtype=np.float64)
    vectors -= vectors.mean(0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    titles = [item.title for item in release.items]
    own = [row for row, title in enumerate(titles) if "wool" in title or "cotton" in title]
    jute = [row for row, title in enumerate(titles) if "jute" in title]
    centre = vectors[own].sum(0)
    centre /= np.linalg.norm(centre)
    assert found.similarity == pytest.approx((vectors[jute] @ centre).mean(), abs=1e-4)
    assert found.threshold == pytest.approx(np.median(vectors[own] @ centre), abs=1e-4)


@pytest.mark.parametrize(
    "policy",
    [
        NO_TOPICS,
        TopicPolicy({"few": Topic(words=("nothing",))}),
        TopicPolicy(FIBRES, {"fibres": (DataUse.PROFILE,)}),
        TopicPolicy({"fibres": Topic(words=("wool", "cotton"), categories=("Rugs",))}),
    ],
)
def test_what_is_told_by_words_or_allowed_is_no_near_miss(release: Release, policy: TopicPolicy) -> None:
    assert RUGS not in [each.path for each in find_near_misses(release, ReleaseTopics(policy, release))]


def review(action: ReviewAction, subject: Subject, segment: Segment | None = None) -> Review:
    return Review(ReviewTarget(subject, SHARED, segment), action, None, "ana", "", datetime.now(UTC))


def test_what_is_decided_for_all_leaves_the_queue() -> None:
    def entry(kind: SubjectKind, *names: str) -> QueueEntry:
        return QueueEntry(QueueKind.DRIFT, Subject(kind, names), 50, Measure.AUC, 0.5, 0.7, "")

    entries = [entry(SubjectKind.INTEREST, *path) for path in (HOME, RUGS, LAMPS)] + [entry(SubjectKind.TRAIT, "Home")]
    home, rugs, lamps, trait = entries
    kept = review(ReviewAction.KEEP, home.subject)
    assert drop_decided(entries, [kept]) == [rugs, lamps, trait]
    assert drop_decided(entries, [review(ReviewAction.BLOCK, home.subject)]) == [trait]
    assert drop_decided(entries, [review(ReviewAction.BLOCK, trait.subject)]) == [home, rugs, lamps]
    assert drop_decided(entries, [review(ReviewAction.BLOCK, rugs.subject, Segment(LAMPS))]) == entries


async def test_a_table_is_looked_at_once(release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    monkeypatch.setattr("portrait.server.review_queue.queue.find_entries", lambda *_: found.append(1) or [])
    topics, queue = ReleaseTopics(NO_TOPICS, release), ReviewQueue(MINIMUM)
    for snapshot, count in ((1, 1), (1, 1), (2, 2)):
        await queue.list_entries(release, topics, make_table({}, tmp_path / str(snapshot), snapshot=snapshot))
        assert len(found) == count
    monkeypatch.setattr("portrait.server.review_queue.queue.find_entries", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await queue.list_entries(release, topics, make_table({}, tmp_path / "3", snapshot=3))
    monkeypatch.setattr("portrait.server.review_queue.queue.find_entries", lambda *_: [])
    assert await queue.list_entries(release, topics, make_table({}, tmp_path / "4", snapshot=3)) == []
