"""ProfileService: serves profiles of shoppers."""

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from portrait.features.events import Event
from portrait.features.generators import run_to_completion
from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS
from portrait.features.profiles.absence import Absence
from portrait.server.admission.charges import add_units
from portrait.server.admission.request_units import history_units, shopper_key
from portrait.server.consent.consents import Decisions, Permissions, Purpose
from portrait.server.demographics import Demographics, select_demographics
from portrait.server.engine import Engine
from portrait.server.errors import InvalidRequest, PortraitError
from portrait.server.profiles.compute import MAX_INLINE_EVENTS, LabelQueries, compute_profile
from portrait.server.profiles.profile import DEMOGRAPHICS_DENIED, build_denied_profile, make_consent_absence
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Context, current_deadline
from portrait.server.rpc.contract.statuses import is_expected
from portrait.server.rpc.contract.validation import validate
from portrait.server.rpc.services.batches import BatchEntry, ProfileBatch
from portrait.server.rpc.services.messages import error_to_message, requested_as_of
from portrait.server.rpc.services.profile_messages import profile_to_message, select_fields
from portrait.server.rpc.services.shoppers import (
    charge_searches,
    count_stored_events,
    load_terms,
    read_decisions,
    read_declaration,
    require_history,
)
from portrait.server.runtime.cooperation import run_in_groups, run_in_steps
from portrait.server.sensitivity.release_topics import PROFILE_USES
from portrait.server.storage.store import Store
from portrait.v1 import profile_pb2, profile_service_pb2, profile_service_pb2_grpc, shopper_pb2

_TOGETHER = 8
"""Short histories of a batch that are processed concurrently, so that the models get batches."""


class ProfileService(profile_service_pb2_grpc.ProfileServiceServicer):
    """Serves profiles.

    Args:
        registry: the engines that compute profiles.
        store: holds the histories of recorded shoppers.
        permissions: decides which histories may be used.
    """

    def __init__(self, registry: EngineRegistry, store: Store, permissions: Permissions) -> None:
        self._registry = registry
        self._store = store
        self._permissions = permissions

    async def GetProfile(  # noqa: N802 - the contract's name
        self, request: profile_service_pb2.GetProfileRequest, context: Context
    ) -> profile_service_pb2.GetProfileResponse:
        """Serve one profile."""
        as_of = requested_as_of(request)
        with self._registry.routes as routes:
            engine = routes.engine_for(request.shopper.shopper_id)
            _require_open_labels(engine, request)
            labels = LabelQueries(request.labels, await self._examples(engine, request, as_of))
            profile = await self._profile(
                engine, request.shopper, "shopper", as_of, request.fields.paths, request.allow_degraded, labels
            )
        structlog.contextvars.bind_contextvars(release=engine.release.number, degraded=profile.degraded)
        return profile_service_pb2.GetProfileResponse(profile=profile)

    async def BatchGetProfiles(  # noqa: N802 - the contract's name
        self, request: profile_service_pb2.BatchGetProfilesRequest, context: Context
    ) -> profile_service_pb2.BatchGetProfilesResponse:
        """Serve many profiles; each succeeds or fails on its own."""
        as_of = requested_as_of(request)
        batch = ProfileBatch(request.shoppers)
        stored = await count_stored_events(self._store, [entry.shopper for entry in batch.entries], as_of)
        batch.limit_events(stored)
        short, long = batch.pending
        # Only recorded histories: `request_parser` has charged the inline ones, which are part of the request.
        await add_units(sum(history_units(each.events) for each in (*short, *long) if each.shopper.shopper_id))
        with self._registry.routes as routes:

            async def answer(entry: BatchEntry) -> None:
                engine, paths = routes.engine_for(entry.shopper.shopper_id), request.fields.paths
                batch.set_result(entry, await self._result(engine, entry, as_of, paths, request.allow_degraded))

            await run_in_groups(answer, short, _TOGETHER)
            await run_in_groups(answer, long, 1)
        structlog.contextvars.bind_contextvars(shoppers=len(request.shoppers), release=routes.traffic.serving)
        return profile_service_pb2.BatchGetProfilesResponse(results=batch.results())

    async def _result(
        self, engine: Engine, entry: BatchEntry, as_of: datetime | None, paths: Sequence[str], allow_degraded: bool
    ) -> profile_service_pb2.BatchGetProfilesResult:
        try:
            checking = validate(entry.shopper, entry.path)
            short = len(entry.shopper.history.events) <= MAX_INLINE_EVENTS
            if broken := run_to_completion(checking) if short else await run_in_steps(checking):
                raise InvalidRequest(broken)
            profile = await self._profile(engine, entry.shopper, entry.path, as_of, paths, allow_degraded, charge=False)
        except PortraitError as error:
            if not is_expected(error):
                raise
            return profile_service_pb2.BatchGetProfilesResult(error=error_to_message(error))
        return profile_service_pb2.BatchGetProfilesResult(profile=profile)

    async def _examples(
        self, engine: Engine, request: profile_service_pb2.GetProfileRequest, as_of: datetime | None
    ) -> list[tuple[str, list[tuple[Sequence[Event], datetime]]]]:
        """Load the histories of the example shoppers of each label; a shopper of several labels is loaded once."""
        read: dict[bytes, tuple[Sequence[Event], datetime]] = {}
        found = []
        for place, label in enumerate(request.label_examples):
            examples = []
            for nth, shopper in enumerate(label.shoppers):
                key = shopper_key(shopper)
                if key not in read:
                    path = f"label_examples[{place}].shoppers[{nth}]"
                    decisions = await read_decisions(self._store, shopper)
                    history = await require_history(
                        self._store, self._permissions, decisions, shopper, as_of, path, MAX_REMEMBERED_EVENTS
                    )
                    await charge_searches(history.events)
                    terms = await load_terms(self._store, self._permissions, decisions)
                    usable = await terms.reviews.apply(history.events, engine.snapshots.item)
                    read[key] = usable.events, history.as_of
                examples.append(read[key])
            found.append((label.label, examples))
        return found

    async def _profile(
        self,
        engine: Engine,
        shopper: shopper_pb2.ShopperRef,
        path: str,
        as_of: datetime | None,
        paths: Sequence[str],
        allow_degraded: bool,
        labels: LabelQueries | None = None,
        *,
        charge: bool = True,
    ) -> profile_pb2.Profile:
        fields, shopper_id = select_fields(paths), shopper.shopper_id
        decisions = await read_decisions(self._store, shopper)
        if shopper_id and (denied := self._permissions.check(decisions, Purpose.PERSONALISATION).denied):
            moment = as_of or datetime.now(UTC)
            declared = await self._declared(decisions, as_of, fields)
            return profile_to_message(
                build_denied_profile(engine.release.number, moment, fields, denied, declared), shopper_id, fields
            )
        history = await require_history(self._store, self._permissions, decisions, shopper, as_of, path, charge=charge)
        await charge_searches(history.events)
        terms = await load_terms(self._store, self._permissions, decisions)
        profile = await compute_profile(
            engine,
            history.events,
            history.as_of,
            fields=fields,
            deadline=current_deadline(),
            labels=labels or LabelQueries(),
            allow_degraded=allow_degraded,
            declared=await self._declared(decisions, as_of, fields),
            min_age=terms.min_age,
            reviews=terms.reviews,
        )
        return profile_to_message(profile, shopper_id, fields)

    async def _declared(
        self, decisions: Decisions, as_of: datetime | None, fields: frozenset[str]
    ) -> Demographics | Absence:
        """Load the demographics that a shopper declared, or the reason why they are absent.

        Of linked ids, those of the first that declared some, in the order of the identity.
        """
        if "demographics" not in fields or not decisions.shopper_ids:
            return DEMOGRAPHICS_DENIED
        verdict = self._permissions.check(decisions, Purpose.DEMOGRAPHICS)
        if verdict.denied is not None:
            return make_consent_absence(verdict.denied)
        return select_demographics(await read_declaration(self._store, verdict.shopper_ids), as_of)


def _require_open_labels(engine: Engine, request: profile_service_pb2.GetProfileRequest) -> None:
    """Require that no label is of a withheld topic; one that needs an age is withheld from whom it is asked of."""
    topics = engine.topics
    names = [(f"labels[{place}]", label) for place, label in enumerate(request.labels)]
    names += [(f"label_examples[{place}].label", each.label) for place, each in enumerate(request.label_examples)]
    withheld = topics.policy.find_withheld(PROFILE_USES, 0)
    topics.require_open([(field, topics.judge_text(label)) for field, label in names], withheld)
