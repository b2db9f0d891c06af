"""The queue of what wants a human review, found in an audience table and in the items of its release."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from portrait.features.profiles.sentences import MIN_CONFIDENCE, Certainty
from portrait.server.audiences.search import round_size
from portrait.server.audiences.table import AudienceTable, CategoryPath
from portrait.server.audiences.trait_calibration import TraitCalibration
from portrait.server.release.release import Release
from portrait.server.review_queue.entry import Measure, QueueEntry, QueueKind
from portrait.server.review_queue.near_misses import find_near_misses
from portrait.server.review_queue.table_counts import InterestCount, TraitCount, count_interests, count_trait
from portrait.server.reviews.review import Review, ReviewAction, Subject, SubjectKind
from portrait.server.sensitivity.release_topics import ReleaseTopics

_HIGH_REACH = 0.05
"""Share of the table's shoppers from which many have something."""
_MIN_CONFIDENCE = MIN_CONFIDENCE[Certainty.LIKELY]
"""Mean confidence of an interest below which a summary speaks of first signs."""
_MIN_AUC = 0.7
"""A lower one tells shoppers apart poorly (Hosmer & Lemeshow 2000, "Applied Logistic Regression", section 5.2.4)."""
_MAX_CALIBRATION_ERROR = 0.05
_SHIFTED, _CHANGED = 0.1, 0.25
"""Customary thresholds of the population stability index: a shift, and another distribution (Siddiqi 2006)."""


class ReviewQueue:
    """Finds the entries once for each table and list of topics, in a thread; nothing of a recommendation waits for it.

    Args:
        min_size: shoppers that an audience must have; fewer are not counted.
    """

    def __init__(self, min_size: int) -> None:
        self._min_size = min_size
        self._found: tuple[tuple[str, int, str], asyncio.Task[list[QueueEntry]]] | None = None

    async def list_entries(self, release: Release, topics: ReleaseTopics, table: AudienceTable) -> Sequence[QueueEntry]:
        """List all entries in a fixed order, those of most shoppers first.

        Args:
            release: that of the table.
            topics: those that the table withholds.
            table: the shoppers.
        """
        key = release.identity, table.description.snapshot, topics.policy.identity
        if self._found is None or self._found[0] != key or _has_failed(self._found[1]):
            work = asyncio.to_thread(find_entries, release, topics, table, self._min_size)
            self._found = key, asyncio.create_task(work)
        # Of callers who go, the next one finds what was begun.
        return await asyncio.shield(self._found[1])


def find_entries(release: Release, topics: ReleaseTopics, table: AudienceTable, min_size: int) -> list[QueueEntry]:
    """Find all entries, those of most shoppers first.

    Args:
        release: that of the table.
        topics: those that the table withholds.
        table: the shoppers.
        min_size: fewer shoppers are not counted.
    """
    interests = count_interests(table)
    traits = [count_trait(table, each) for each in release.traits if each.name in table.description.traits]
    some, many = max(min_size, 1), max(min_size, 1, _HIGH_REACH * len(table))
    found = [
        *_list_near_misses(release, topics, interests),
        *_list_drifted(each for each in traits if each.shoppers >= some),
        *_list_miscalibrated((each for each in traits if each.shoppers >= some), table),
        *_list_unsure_interests({path: each for path, each in interests.items() if each.shoppers >= many}),
        *_list_unsure_traits(each for each in traits if each.shoppers >= many),
    ]
    rounded = [
        replace(each, shoppers=round_size(each.shoppers, min_size) if each.shoppers >= some else 0) for each in found
    ]
    return sorted(rounded, key=lambda each: (-each.shoppers, each.kind, each.subject))


def drop_decided(entries: Iterable[QueueEntry], reviews: Iterable[Review]) -> list[QueueEntry]:
    """Leave out what a review for all shoppers decides, whatever it decides, and what lies below a blocked interest.

    Args:
        entries: entries of the queue.
        reviews: those for segments and for all.
    """
    for_all = [review for review in reviews if review.target.segment is None]
    decided = {review.target.subject for review in for_all}
    blocked = {review.target.subject for review in for_all if review.action is ReviewAction.BLOCK}
    return [each for each in entries if each.subject not in decided and blocked.isdisjoint(_list_above(each.subject))]


def _list_above(subject: Subject) -> list[Subject]:
    """List the interests above an interest; nothing is above a trait."""
    kind, names = subject
    return [Subject(kind, names[:depth]) for depth in range(1, len(names))]


def _list_near_misses(
    release: Release, topics: ReleaseTopics, interests: Mapping[CategoryPath, InterestCount]
) -> Iterator[QueueEntry]:
    for each in find_near_misses(release, topics):
        yield QueueEntry(
            QueueKind.SENSITIVE_NEAR_MISS,
            Subject(SubjectKind.INTEREST, each.path),
            interests[each.path].shoppers if each.path in interests else 0,
            Measure.SIMILARITY,
            each.similarity,
            each.threshold,
            f"near to {each.topic}, though no word tells",
            each.topic,
        )


def _list_drifted(traits: Iterable[TraitCount]) -> Iterator[QueueEntry]:
    for each in traits:
        expected = each.trait.distribution
        if expected is None or each.by_bin is None:
            continue
        index = expected.compute_stability_index(each.by_bin)
        if index >= max(_SHIFTED, expected.compute_chance_index(each.shoppers)):
            yield QueueEntry(
                QueueKind.DRIFT,
                Subject(SubjectKind.TRAIT, (each.trait.name,)),
                each.shoppers,
                Measure.STABILITY_INDEX,
                index,
                _CHANGED if index >= _CHANGED else _SHIFTED,
                "probabilities unlike those on its test" if index >= _CHANGED else "probabilities moved since its test",
            )


def _list_miscalibrated(traits: Iterable[TraitCount], table: AudienceTable) -> Iterator[QueueEntry]:
    """List the traits whose interval since the test and whose interval on the test have nothing in common."""
    since = {each["trait"]: TraitCalibration(**each) for each in table.description.calibrations}
    for each in traits:
        found, tested = since.get(each.trait.name), each.trait.excess
        if found is None or tested is None or (found.low <= tested[1] and found.high >= tested[0]):
            continue
        yield QueueEntry(
            QueueKind.DRIFT,
            Subject(SubjectKind.TRAIT, (each.trait.name,)),
            each.shoppers,
            Measure.EXCESS,
            found.excess,
            tested[1] if found.low > tested[1] else tested[0],
            f"said {found.stated:.0%} on {found.as_of[:10]}, and {found.observed:.0%} came true",
        )


def _list_unsure_interests(interests: Mapping[CategoryPath, InterestCount]) -> Iterator[QueueEntry]:
    for path, count in interests.items():
        if count.confidence < _MIN_CONFIDENCE:
            yield QueueEntry(
                QueueKind.LOW_CONFIDENCE,
                Subject(SubjectKind.INTEREST, path),
                count.shoppers,
                Measure.CONFIDENCE,
                count.confidence,
                _MIN_CONFIDENCE,
                "many have it, on little evidence",
            )


def _list_unsure_traits(traits: Iterable[TraitCount]) -> Iterator[QueueEntry]:
    for each in traits:
        auc, error = each.trait.auc, each.trait.calibration_error
        if auc is not None and auc < _MIN_AUC:
            figure = Measure.AUC, auc, _MIN_AUC, "many have it, and it hardly tells them apart"
        elif error is not None and error > _MAX_CALIBRATION_ERROR:
            reason = "many have it, and its probabilities are off"
            figure = Measure.CALIBRATION_ERROR, error, _MAX_CALIBRATION_ERROR, reason
        else:
            continue
        yield QueueEntry(
            QueueKind.LOW_CONFIDENCE, Subject(SubjectKind.TRAIT, (each.trait.name,)), each.shoppers, *figure
        )


def _has_failed(task: "asyncio.Task[list[QueueEntry]]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
