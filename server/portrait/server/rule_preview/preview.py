"""The dry run: each call is answered twice, by the rules in force and by the new ones, as a gateway answers it."""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, cast

from portrait.server.backends import Backends, load_rollout, open_backends
from portrait.server.consent.consents import Permissions
from portrait.server.errors import PortraitError
from portrait.server.rollout.rollout import Rollout
from portrait.server.rpc.context import Context
from portrait.server.rpc.contract.statuses import message_from_error
from portrait.server.rpc.services.recommendations import RecommendationService
from portrait.server.rule_preview.calls import RecordedCall
from portrait.server.rule_preview.effects import Change, WatchedRules, name_causes
from portrait.server.rules.file import Rule
from portrait.server.runtime.signals import cancel_on_signals
from portrait.server.settings import Settings
from portrait.v1.recommendation_service_pb2 import GetShelfRequest, RecommendRequest


class _Shown(NamedTuple):
    """An item of an answer."""

    title: str
    place: int
    """From 1."""


@dataclass(frozen=True, slots=True)
class MovedItem:
    """An item whose place the new rules change."""

    item_id: str
    title: str
    before: int | None
    """Its place by the rules in force, from 1; None where it is not shown."""
    after: int | None
    """Its place by the new rules."""
    rules: Sequence[str]
    """Names of the rules that change its place themselves; none where it makes room, or takes a free place."""

    @property
    def change(self) -> Change:
        """The change of its place."""
        return _find_change(self.before, self.after)


@dataclass(frozen=True, slots=True)
class CallPreview:
    """The difference that the new rules make to one call."""

    call: RecordedCall
    moved: Sequence[MovedItem] = ()
    error: str = ""
    """Why the call can't be answered."""


@dataclass(frozen=True, slots=True)
class RulesPreview:
    """The difference that the new rules make to all calls."""

    release: int
    """Number of the release that serves."""
    calls: Sequence[CallPreview]


async def preview_rules(
    settings: Settings, calls: Sequence[RecordedCall], in_force: Sequence[Rule], new: Sequence[Rule]
) -> RulesPreview:
    """Answer calls by the rules in force and by new ones, with the serving release and the state of the settings.

    Nothing is recorded. A state file that does not exist is not created.

    Raises:
        OSError, IndexStorageError, PortraitError, ReleaseError, StoreError, TopicsError, TrafficError, TritonError: as
            `open_backends` and `load_rollout`.
    """
    cancel_on_signals()
    async with AsyncExitStack() as closing:
        if settings.state_url is None and not settings.state.exists():
            folder = closing.enter_context(TemporaryDirectory())
            settings = settings.model_copy(update={"state": Path(folder) / "state.db"})
        backends = await open_backends(settings, closing)
        rollout = await load_rollout(settings, backends, closing)
        comparison = _Comparison(settings, backends, rollout, in_force, new)
        compared = [await comparison.compare(call) for call in calls]
        return RulesPreview(rollout.registry.routes.traffic.serving, compared)


class _Comparison:
    def __init__(
        self, settings: Settings, backends: Backends, rollout: Rollout, in_force: Sequence[Rule], new: Sequence[Rule]
    ) -> None:
        permissions = Permissions(backends.store, settings.consent_rules)
        self._before, self._after = WatchedRules(in_force), WatchedRules(new)
        self._services = [
            RecommendationService(rollout.registry, backends.store, permissions, get_rules)
            for get_rules in (lambda: self._before, lambda: self._after)
        ]

    async def compare(self, call: RecordedCall) -> CallPreview:
        """Answer a call twice; an error is a part of the result, as others may be answered."""
        try:
            before, after = [await _answer(service, call.request) for service in self._services]
        except PortraitError as error:
            return CallPreview(call, error=message_from_error(error))
        return CallPreview(call, list(self._list_moved(call, before, after)))

    def _list_moved(
        self, call: RecordedCall, before: dict[str, _Shown], after: dict[str, _Shown]
    ) -> Iterator[MovedItem]:
        named = list(call.request.item_ids) if isinstance(call.request, GetShelfRequest) else []
        for item_id, shown in (before | after).items():
            old, new = (answer[item_id].place if item_id in answer else None for answer in (before, after))
            if old != new:
                causes = name_causes(self._before, self._after, item_id, _find_change(old, new), named)
                yield MovedItem(item_id, shown.title, old, new, causes)


async def _answer(service: RecommendationService, request: RecommendRequest | GetShelfRequest) -> dict[str, _Shown]:
    """Return the items of the answer by their ids."""
    no_context = cast(Context, None)  # the service reads none
    if isinstance(request, GetShelfRequest):
        items = [each.item for each in (await service.GetShelf(request, no_context)).items]
    else:
        items = [each.item for each in (await service.Recommend(request, no_context)).items]
    return {item.item_id: _Shown(item.title, place) for place, item in enumerate(items, start=1)}


def _find_change(before: int | None, after: int | None) -> Change:
    if after is None:
        return Change.LEAVES
    if before is None:
        return Change.ENTERS
    return Change.RISES if after < before else Change.FALLS
