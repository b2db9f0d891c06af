"""The criteria of an audience, from messages of the contract."""

from collections.abc import Iterator, Sequence

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
from portrait.v1 import audience_service_pb2, customer_value_pb2

_TIERS = {getattr(customer_value_pb2, f"VALUE_TIER_{tier.name}"): tier for tier in ValueTier}
_SEGMENTS = {getattr(customer_value_pb2, f"VALUE_SEGMENT_{segment.name}"): segment for segment in ValueSegment}


_CRITERIA, _LOOK_ALIKE = "audience.criteria", "audience.look_alike"
"""Where they stand in a request."""


async def audience_of(message: audience_service_pb2.Audience, engine: Engine, deadline: float | None) -> Audience:
    """An audience.

    Args:
        message: keeps the contract's limits.
        engine: has the traits, and encodes labels.
        deadline: `loop.time()` at which the caller's time is up; None if never.

    Raises:
        InvalidRequest: the criteria do not go together.
        NotFound: the release has no such trait.
        FailedPrecondition: labels are asked for, but the release has no statistics.
    """
    if not message.criteria and not message.HasField("look_alike"):
        raise InvalidRequest([Violation("audience", "sent neither criteria nor `look_alike`; one of both is required")])
    criteria = await _criteria(message.criteria, engine, deadline, _CRITERIA)
    if not message.HasField("look_alike"):
        return Audience(criteria)
    return Audience(criteria, await _look_alikes(message.look_alike, engine, deadline))


async def _criteria(
    messages: Sequence[audience_service_pb2.Criterion], engine: Engine, deadline: float | None, path: str
) -> list[Criterion]:
    if broken := list(_broken(messages, path)):
        raise InvalidRequest(broken)
    criteria: list[Criterion] = []
    for place, each in enumerate(messages):
        match each.WhichOneof("criterion"):
            case "interest":
                criteria.append(await _interest(each.interest, engine, deadline))
            case "trait":
                criteria.append(_trait(each.trait, engine, f"{path}[{place}].trait.name"))
            case "customer_value":
                criteria.append(_value(each.customer_value))
            case "region":
                criteria.append(RegionCriterion(frozenset(each.region.regions)))
            case _:
                criteria.append(_activity(each.activity))
    return criteria


def _broken(messages: Sequence[audience_service_pb2.Criterion], path: str) -> Iterator[Violation]:
    """What no limit of a single field says."""
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


async def _interest(
    message: audience_service_pb2.InterestCriterion, engine: Engine, deadline: float | None
) -> InterestCriterion:
    if message.labels and engine.release.profiles is None:
        raise FailedPrecondition(
            "labels are held against statistics, which the release has not; export it again",
            ErrorReason.STATISTICS_MISSING,
        )
    labels = await engine.texts.encode(list(message.labels), deadline) if message.labels else ()
    paths = [tuple(path.names) for path in message.categories]
    return InterestCriterion(paths, message.min_weight, list(labels), message.min_percentile)


def _trait(message: audience_service_pb2.TraitCriterion, engine: Engine, path: str) -> TraitCriterion:
    declared = {trait.name: trait for trait in engine.release.traits}
    trait = declared.get(message.name)
    if trait is None:
        raise NotFound(path, "the release declares no such trait", ErrorReason.TRAIT_UNKNOWN)
    if trait.absent:
        raise NotFound(path, f"the release has not learnt this trait: {trait.absent}", ErrorReason.TRAIT_ABSENT)
    most = message.max_probability if message.HasField("max_probability") else 1.0
    return TraitCriterion(message.name, message.min_probability, most)


def _value(message: audience_service_pb2.CustomerValueCriterion) -> CustomerValueCriterion:
    return CustomerValueCriterion(
        frozenset(_TIERS[tier] for tier in message.tiers),
        frozenset(_SEGMENTS[segment] for segment in message.segments),
        message.min_recency_score,
        message.min_frequency_score,
        message.min_monetary_score,
    )


def _activity(message: audience_service_pb2.ActivityCriterion) -> ActivityCriterion:
    return ActivityCriterion(
        since=datetime_from_message(message.since) if message.HasField("since") else None,
        before=datetime_from_message(message.before) if message.HasField("before") else None,
    )


async def _look_alikes(message: audience_service_pb2.LookAlike, engine: Engine, deadline: float | None) -> LookAlike:
    seed: SeedShoppers | SeedCriteria = SeedShoppers(list(message.shoppers.shopper_ids))
    if message.HasField("criteria"):
        path = f"{_LOOK_ALIKE}.criteria.criteria"
        seed = SeedCriteria(await _criteria(message.criteria.criteria, engine, deadline, path))
    if message.WhichOneof("extent") == "top":
        return LookAlike(seed, top=message.top)
    return LookAlike(seed, min_similarity=message.min_similarity)
