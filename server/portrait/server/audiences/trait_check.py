"""Check of traits: the probabilities that a release states of shoppers at an earlier moment, against what came true."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import structlog

from portrait.server.audiences.search import ShopperFilter
from portrait.server.audiences.trait_calibration import TraitCalibration
from portrait.server.audiences.trait_outcomes import OutcomesError, TraitOutcomes
from portrait.server.engine import Engine
from portrait.server.profiles.compute import compute_profile
from portrait.server.release.traits import Trait
from portrait.server.sensitivity.release_topics import AUDIENCE_USES
from portrait.server.storage.histories import read_history
from portrait.server.storage.store import Store

MIN_OUTCOMES = 30
"""Shoppers for whom a trait came true, and for whom it did not, each, as on its test; of fewer nothing is told."""
_MAX_CONCURRENT_PROFILES = 128
"""Profiles that are computed at one time, so that models get full batches."""
_FIELDS = frozenset({"traits"})

_log = structlog.get_logger(__name__)


async def check_traits(
    engine: Engine, store: Store, permitted: ShopperFilter, outcomes: Mapping[str, TraitOutcomes]
) -> list[TraitCalibration]:
    """Compare what the release states as of the moment of each trait's outcomes with them, without any review.

    Args:
        engine: of the release.
        store: has the events.
        permitted: whose events may be read.
        outcomes: by the trait's name.

    Returns:
        the traits that could be compared; the log tells the others.

    Raises:
        OutcomesError: the release has no such trait, its test reaches beyond the moment, the outcomes are of the
            future, or their shoppers are unknown.
        PortraitError: the models do not answer.
    """
    now = datetime.now(UTC)
    declared = {trait.name: trait for trait in engine.release.traits}
    for name, given in outcomes.items():
        if name not in declared:
            raise OutcomesError(f"release {engine.release.number} has no trait {name}")
        if not declared[name].absent:
            _require_since_test(declared[name], given.as_of, now)
    found, known = [], 0
    for name, given in outcomes.items():
        pairs = await _state_probabilities(engine, store, permitted, name, given)
        known += len(pairs)
        probabilities, came_true = (np.array([pair[place] for pair in pairs]) for place in (0, 1))
        positives = int(came_true.sum())
        if min(positives, len(pairs) - positives) < MIN_OUTCOMES:
            counts = {"positives": positives, "negatives": len(pairs) - positives, "required": MIN_OUTCOMES}
            _log.warning("trait_not_checked", trait=name, **counts)
            continue
        moment = given.as_of.astimezone(UTC).isoformat()
        found.append(TraitCalibration.measure(name, moment, probabilities, came_true))
    if not known:
        raise OutcomesError(
            "the release states no probability of any shopper of the outcomes; those of a pseudonymised data set have "
            "other ids"
        )
    return found


def _require_since_test(trait: Trait, as_of: datetime, now: datetime) -> None:
    """Require that what came true is known, and was not when the trait was learnt."""
    days = trait.horizon.days
    if as_of > now - trait.horizon:
        raise OutcomesError(f"trait {trait.name}: the {days} days after {as_of.isoformat()} are not over")
    if trait.tested_until is None:
        raise OutcomesError(
            f"trait {trait.name}: an earlier version learnt it, and kept too little of its test; run "
            "`portrait train-traits` and `portrait export` again"
        )
    if as_of < trait.tested_until:
        raise OutcomesError(
            f"trait {trait.name}: its outcomes begin at {as_of.isoformat()}, and its test reaches until "
            f"{trait.tested_until.isoformat()}; label a log that goes on for {days} days after that"
        )


async def _state_probabilities(
    engine: Engine, store: Store, permitted: ShopperFilter, trait: str, given: TraitOutcomes
) -> list[tuple[float, bool]]:
    """State the probability of each shopper of the sample who has one, beside what came true.

    Linked shoppers are left out: the log, which knows of no link, has another history of them.
    """
    ids = [shopper_id for shopper_id, _ in given.sample]
    linked = await store.identities(ids)
    allowed = await permitted([each for each in ids if each not in linked])
    chosen = [(shopper_id, came_true) for shopper_id, came_true in given.sample if shopper_id in allowed]
    pairs: list[tuple[float, bool]] = []
    for begin in range(0, len(chosen), _MAX_CONCURRENT_PROFILES):
        part = chosen[begin : begin + _MAX_CONCURRENT_PROFILES]
        stated = await asyncio.gather(
            *(_state_probability(engine, store, each, given.as_of, trait) for each, _ in part)
        )
        pairs += [
            (chance, came_true) for chance, (_, came_true) in zip(stated, part, strict=True) if chance is not None
        ]
    return pairs


async def _state_probability(
    engine: Engine, store: Store, shopper_id: str, as_of: datetime, trait: str
) -> float | None:
    history = await read_history(store, [shopper_id], as_of)
    if not history.events:
        return None
    profile = await compute_profile(
        engine, history.events, history.as_of, fields=_FIELDS, deadline=None, uses=AUDIENCE_USES
    )
    return next(each.probability for each in profile.traits if each.trait.name == trait)
