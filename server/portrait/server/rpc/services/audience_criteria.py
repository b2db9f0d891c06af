"""Conversion of the criteria of an audience from messages of the contract."""

from collections.abc import Awaitable, Callable, Iterator, Sequence

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
from portrait.server.engine import Engine
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, InvalidRequest, NotFound, Violation
from portrait.server.profiles.customer_value import ValueSegment, ValueTier
from portrait.server.rpc.services.messages import datetime_from_message
from portrait.server.sensitivity.release_topics import AUDIENCE_USES
from portrait.v1 import audience_service_pb2, customer_value_pb2

_TIERS = {getattr(customer_value_pb2, f"VALUE_TIER_{tier.name}"): tier for tier in ValueTier}
_SEGMENTS = {getattr(customer_value_pb2, f"VALUE_SEGMENT_{segment.name}"): segment for segment in ValueSegment}


_Reader = Callable[[audience_service_pb2.Criterion, Engine, float | None, str], Awaitable[Criterion]]
"""Converts a criterion, given its message, the engine, the deadline and the path of the criterion in the request."""
_CRITERIA, _LOOK_ALIKE = "audience.criteria", "audience.look_alike"
"""The paths of the criteria in a request."""


async def audience_of(message: audience_service_pb2.Audience, engine: Engine, deadline: float | None) -> Audience:
    """Convert an audience.

    Args:
        message: within the limits of the contract.
        engine: knows the declared traits, and encodes labels.
        deadline: `loop.time()` at which the caller's time is up; None if never.

    Raises:
        InvalidRequest: fields of a criterion contradict each other, or there is no criterion.
        NotFound: the release has no such trait.
        FailedPrecondition: a criterion has labels, but the release lacks the statistics to compare them with; or it is
            of a sensitive topic.
    """
    if not message.criteria and not message.HasField("look_alike"):
        raise InvalidRequest([Violation("audience", "sent neither criteria nor `look_alike`; one of both is required")])
    criteria = await _read_criteria(message.criteria, engine, deadline, _CRITERIA)
    if not message.HasField("look_alike"):
        return Audience(criteria)
    return Audience(criteria, await _read_look_alike(message.look_alike, engine, deadline))


async def _read_criteria(
    messages: Sequence[audience_service_pb2.Criterion], engine: Engine, deadline: float | None, path: str
) -> list[Criterion]:
    if broken := list(_find_violations(messages, path)):
        raise InvalidRequest(broken)
    return [
        await CRITERION_READERS[each.WhichOneof("criterion") or ""](each, engine, deadline, f"{path}[{place}]")
        for place, each in enumerate(messages)
    ]


def _find_violations(messages: Sequence[audience_service_pb2.Criterion], path: str) -> Iterator[Violation]:
    """Find violations of the rules that concern several fields; `contract.validation` checks single fields."""
    for place, each in enumerate(messages):
        at = f"{path}[{place}]"
        interest, trait, activity = each.interest, each.trait, each.activity
        if each.HasField("interest") and not interest.categories and not interest.labels:
            yield Violation(f"{at}.interest", "sent neither categories nor labels; one of either is required")
        if trait.HasField("max_probability") and trait.max_probability < trait.min_probability:
            yield Violation(f"{at}.trait.max_probability", "sent less than `min_probability`")
        if activity.HasField("before") and datetime_from_message(activity.before) <= datetime_from_message(
            activity.since
        ):
            yield Violation(f"{at}.activity.before", "sent no later moment than `since`")


async def _read_interest(
    criterion: audience_service_pb2.Criterion, engine: Engine, deadline: float | None, path: str
) -> InterestCriterion:
    message = criterion.interest
    if message.labels and engine.release.profiles is None:
        raise FailedPrecondition(
            "labels are held against statistics, which the release has not; export it again",
            ErrorReason.STATISTICS_MISSING,
        )
    paths = [tuple(category.names) for category in message.categories]
    topics, at = engine.topics, f"{path}.interest"
    judged = [(f"{at}.categories[{place}]", topics.judge_path(each)) for place, each in enumerate(paths)]
    judged += [(f"{at}.labels[{place}]", topics.judge_text(each)) for place, each in enumerate(message.labels)]
    topics.require_open(judged, topics.policy.find_withheld(AUDIENCE_USES, 0))
    labels = await engine.texts.encode(list(message.labels), deadline) if message.labels else ()
    return InterestCriterion(paths, message.min_weight, list(labels), message.min_percentile)


async def _read_trait(
    criterion: audience_service_pb2.Criterion, engine: Engine, deadline: float | None, path: str
) -> TraitCriterion:
    message = criterion.trait
    declared = {trait.name: trait for trait in engine.release.traits}
    trait = declared.get(message.name)
    if trait is None:
        raise NotFound(f"{path}.trait.name", "the release declares no such trait", ErrorReason.TRAIT_UNKNOWN)
    if trait.absent:
        reason = f"the release has not learnt this trait: {trait.absent}"
        raise NotFound(f"{path}.trait.name", reason, ErrorReason.TRAIT_ABSENT)
    topics, withheld = engine.topics, engine.topics.policy.find_withheld(AUDIENCE_USES, 0)
    topics.require_open([(f"{path}.trait.name", topics.judge_trait(message.name))], withheld)
    max_probability = message.max_probability if message.HasField("max_probability") else 1.0
    return TraitCriterion(message.name, message.min_probability, max_probability)


async def _read_customer_value(
    criterion: audience_service_pb2.Criterion, engine: Engine, deadline: float | None, path: str
) -> CustomerValueCriterion:
    message = criterion.customer_value
    return CustomerValueCriterion(
        frozenset(_TIERS[tier] for tier in message.tiers),
        frozenset(_SEGMENTS[segment] for segment in message.segments),
        message.min_recency_score,
        message.min_frequency_score,
        message.min_monetary_score,
    )


async def _read_activity(
    criterion: audience_service_pb2.Criterion, engine: Engine, deadline: float | None, path: str
) -> ActivityCriterion:
    message = criterion.activity
    return ActivityCriterion(
        since=datetime_from_message(message.since) if message.HasField("since") else None,
        before=datetime_from_message(message.before) if message.HasField("before") else None,
    )


async def _read_region(
    criterion: audience_service_pb2.Criterion, engine: Engine, deadline: float | None, path: str
) -> RegionCriterion:
    return RegionCriterion(frozenset(criterion.region.regions))


async def _read_look_alike(
    message: audience_service_pb2.LookAlike, engine: Engine, deadline: float | None
) -> LookAlike:
    seed: SeedShoppers | SeedCriteria = SeedShoppers(list(message.shoppers.shopper_ids))
    if message.HasField("criteria"):
        path = f"{_LOOK_ALIKE}.criteria.criteria"
        seed = SeedCriteria(await _read_criteria(message.criteria.criteria, engine, deadline, path))
    if message.WhichOneof("extent") == "top":
        return LookAlike(seed, top=message.top)
    return LookAlike(seed, min_similarity=message.min_similarity)


CRITERION_READERS: dict[str, _Reader] = {
    "interest": _read_interest,
    "trait": _read_trait,
    "customer_value": _read_customer_value,
    "activity": _read_activity,
    "region": _read_region,
}
"""Converter of each criterion, by its name in the oneof `Criterion.criterion`."""
