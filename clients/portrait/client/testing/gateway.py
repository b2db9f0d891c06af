"""An in-memory gateway: stores what it receives, and answers by simple rules or with the responses of a test."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count, islice
from typing import Any, NoReturn, TypeVar, get_origin, get_type_hints

import grpc

from portrait.client.arguments import check_each
from portrait.client.audiences import AudienceMember, AudiencePage, AudienceSummary
from portrait.client.calls import TEXTS_PER_REQUEST, Call
from portrait.client.enums import ReviewQueueKind
from portrait.client.errors import (
    FailedPreconditionError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    PortraitError,
)
from portrait.client.options import ChosenOptions
from portrait.client.profiles import Demographics, Profile, ProfileError
from portrait.client.results import (
    Consent,
    ConsentRecord,
    Consents,
    Embeddings,
    Event,
    EventEffect,
    EventPage,
    EventType,
    ForgetSummary,
    Item,
    Permission,
    ProfileExplanation,
    Purpose,
    Ranking,
    RankingExplanation,
    RecordSummary,
    Rejection,
    UpsertSummary,
    WordEffect,
)
from portrait.client.review_queue import ReviewQueuePage
from portrait.client.reviews import Review, ReviewTarget
from portrait.client.shopper_records import ShopperRecords
from portrait.client.sync import Client
from portrait.client.testing import rules
from portrait.client.testing.identities import FakeIdentities
from portrait.client.testing.rules import NOW, RELEASE

R = TypeVar("R")

_PAGE, _EVENT_PAGE = 1_000, 100
_DEFAULT_K, _MAX_K = 10, 1_000


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call that a fake received."""

    method: str
    """Name of the client's method, for example `recommend`."""
    arguments: Mapping[str, Any]
    """All arguments by name, with defaults; `record_events` has up to 1,000 events per call."""
    options: ChosenOptions
    """Timeout, metadata and request id of the call."""


class FakeGateway(FakeIdentities):
    """Answers the fake clients and records their calls.

    Events, items, consents and demographics are stored. Recommendations are sorted by the words of the query in the
    title, then by the share of the shopper's events in the item's category, then by the order of insertion.
    Profiles have counts, times, interests and, if requested, an embedding. An audience is all shoppers with events,
    whatever the criteria. Links and memberships are stored, and change no other answer. The clock stands still at
    `NOW`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[RecordedCall] = []
        self._answers: dict[str, object] = {}
        self._events: dict[str, dict[str, Event]] = {}
        self._items: dict[str, dict[str, Item]] = {"products": {}}
        self._records: dict[str, list[ConsentRecord]] = {}
        self._declared: dict[str, Demographics] = {}
        self._reviews: list[Review] = []
        """Kept and listed; responses do not follow them."""

    def set_answer(self, method: str, answer: object) -> None:
        """Set the response of a method of the clients.

        Args:
            method: name of the method.
            answer: the value that the method returns (for `find_audience` a list of pages), an error that it raises, or
                a function that takes the method's arguments by name and returns either.

        Raises:
            ValueError: the clients have no such method.
            TypeError: the method does not return values of this type.
        """
        if method not in vars(Client) or method.startswith("_") or method == "close":
            raise ValueError(f"the clients have no method {method!r}")
        if not isinstance(answer, PortraitError) and not callable(answer):
            _check_answer(method, answer)
        self._answers[method] = answer

    def answer(self, call: Call[R], options: ChosenOptions) -> R:
        """Answer a call.

        Raises:
            PortraitError: as from a real gateway, or as a test has set.
        """
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", call.method).lower()
        self.calls.append(RecordedCall(method, call.arguments, options))
        try:
            response: R = self._respond(method, call.arguments)
        except PortraitError as error:
            error.request_id = error.request_id or options.request_id
            raise
        return response

    def _respond(self, method: str, arguments: Mapping[str, Any]) -> Any:
        if method not in self._answers:
            if not hasattr(self, f"_{method}"):
                raise NotImplementedError(f"the fake has no rule for {method}: give it an answer with set_answer")
            return getattr(self, f"_{method}")(**arguments)
        given = self._answers[method]
        if callable(given):
            given = given(arguments)
        if isinstance(given, PortraitError):
            raise given
        _check_answer(method, given)
        return given

    def answer_stream(self, call: Call[R], options: ChosenOptions) -> Iterator[R]:
        """Answer a call with a stream."""
        parts: Any = self.answer(call, options)
        yield from parts

    def _record_events(self, events: Iterable[tuple[str, Event]]) -> RecordSummary:
        accepted = duplicates = 0
        rejections = []
        for index, (shopper_id, event) in enumerate(events):
            known = self._events.setdefault(shopper_id, {})
            if known.get(event.event_id, event) != event:
                problem = "this shopper has another event of the same id"
                rejections.append(Rejection(index, "event.event_id", problem, "EVENT_ID_TAKEN"))
            elif event.event_id in known:
                duplicates += 1
            else:
                known[event.event_id or f"event-{len(known) + 1}"] = event
                accepted += 1
        return RecordSummary(accepted, duplicates, tuple(rejections))

    def _history(self, shopper: str | Sequence[Event]) -> list[Event]:
        return [*self._events.get(shopper, {}).values()] if isinstance(shopper, str) else [*shopper]

    def _catalogue(self, name: str) -> dict[str, Item]:
        if (name or "products") not in self._items:
            _refuse_missing("catalogue", "there is no such catalogue", "CATALOGUE_UNKNOWN")
        return self._items[name or "products"]

    def _get_profile(
        self, shopper: str | Sequence[Event], fields: Sequence[str] | None, as_of: Any, **_: Any
    ) -> Profile:
        events = self._history(shopper)
        if not events and isinstance(shopper, str):
            problem = "no event of this shopper is recorded, or none up to `as_of`"
            _refuse_missing("shopper.shopper_id", problem, "SHOPPER_UNKNOWN")
        shopper_id = shopper if isinstance(shopper, str) else ""
        profile = rules.make_profile(shopper_id, events, self._items["products"], as_of, fields)
        is_asked = fields is None or "demographics" in fields
        return replace(profile, demographics=self._declared.get(shopper_id)) if is_asked else profile

    def _batch_get_profiles(self, shoppers: Sequence[Any], **options: Any) -> list[Profile | ProfileError]:
        found: list[Profile | ProfileError] = []
        for place, shopper in enumerate(shoppers):
            try:
                found.append(self._get_profile(shopper, **options))
            except NotFoundError as error:
                field, _, message = error.message.partition(": ")
                code = int(grpc.StatusCode.NOT_FOUND.value[0])
                found.append(
                    ProfileError(code, field.replace("shopper.", f"shoppers[{place}].", 1), message, error.reason)
                )
        return found

    def _recommend(
        self,
        shopper: Any,
        catalogue: str,
        query: str,
        k: int,
        filter: Any,
        exclude_seen: bool,
        max_per_category: int,
        **_: Any,
    ) -> Ranking:
        if not 0 <= k <= _MAX_K:
            _refuse_invalid("k", f"sent {k}; the limit is 0 to {_MAX_K}")
        events, items = self._history(shopper), self._catalogue(catalogue)
        seen = {event.item_id for event in events} if exclude_seen else set()
        shown = [item for item in items.values() if item.item_id not in seen and rules.meets(item, filter)]
        ranked = rules.rank(shown, events, self._items["products"], query)
        if max_per_category:
            ranked = rules.limit_categories(ranked, max_per_category)
        return Ranking(ranked[: k or _DEFAULT_K], RELEASE, len(events))

    def _rank(self, shopper: Any, candidates: Sequence[Item | str], catalogue: str, query: str, **_: Any) -> Ranking:
        known, events = self._catalogue(catalogue), self._history(shopper)
        given = [Item(each) if isinstance(each, str) else each for each in candidates]
        items = [each if each.title else known.get(each.item_id, each) for each in given]
        return Ranking(rules.rank(items, events, self._items["products"], query), RELEASE, len(events))

    def _encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return Embeddings(tuple(map(rules.make_vector, texts)), RELEASE)

    def _encode_text_stream(self, texts: Iterable[str]) -> Iterator[Embeddings]:
        unread = iter(texts)
        for first in count(step=TEXTS_PER_REQUEST):
            part = list(islice(unread, TEXTS_PER_REQUEST))
            if not part:
                return
            check_each(part, str, "texts", first)
            yield self._encode_texts(part)

    def _explain_recommendation(
        self, shopper: Any, item_id: str, catalogue: str, query: str, **_: Any
    ) -> RankingExplanation:
        events = self._history(shopper)
        [ranked] = rules.rank([self._get_item(item_id, catalogue)], events, self._items["products"], query)
        words = tuple(WordEffect(word, float(word in rules.words(query))) for word in ranked.item.title.split())
        return RankingExplanation(ranked, _effects(events), words, RELEASE, len(events))

    def _explain_profile(self, shopper: Any, interest: Sequence[str], trait: str, as_of: Any) -> ProfileExplanation:
        profile = self._get_profile(shopper, None, as_of)
        weights = {each.category_path: each.weight for each in profile.interests}
        if trait or (interest and tuple(interest) not in weights):
            part = "trait" if trait else "interest"
            _refuse_missing(part, "the profile has none of this name", f"{part.upper()}_UNKNOWN")
        events = self._history(shopper)
        return ProfileExplanation(_effects(events), weights.get(tuple(interest), 0.0), RELEASE, len(events))

    def _upsert_items(self, items: Sequence[Item], catalogue: str) -> UpsertSummary:
        self._items.setdefault(catalogue or "products", {}).update({item.item_id: item for item in items})
        return UpsertSummary(len(items), ())

    def _delete_items(self, item_ids: Sequence[str], catalogue: str) -> int:
        known = self._catalogue(catalogue)
        return sum(known.pop(item_id, None) is not None for item_id in item_ids)

    def _get_item(self, item_id: str, catalogue: str) -> Item:
        known = self._catalogue(catalogue)
        if item_id not in known:
            _refuse_missing("item_id", "the catalogue does not hold it", "ITEM_UNKNOWN")
        return known[item_id]

    def _find_audience(self, page_size: int, page_token: str, **asked: Any) -> list[AudiencePage]:
        summary = self._estimate_audience(**asked)
        ids = [shopper_id for shopper_id in sorted(self._events) if shopper_id > page_token]
        size = page_size or _PAGE
        cuts = [ids[begin : begin + size] for begin in range(0, len(ids), size)] or [[]]
        similarity = 1.0 if asked["look_alike"] else None
        return [
            AudiencePage(
                summary,
                part[-1] if part and part[-1] != ids[-1] else "",
                tuple(AudienceMember(shopper_id, NOW, similarity) for shopper_id in part),
            )
            for part in cuts
        ]

    def _estimate_audience(self, criteria: Sequence[Any], look_alike: Any) -> AudienceSummary:
        if not criteria and look_alike is None:
            _refuse_invalid("audience.criteria", "is empty, and there is no look-alike")
        size = len(self._events)
        return AudienceSummary(size, "", 0, RELEASE, "1", size, NOW, NOW)

    def _set_consents(self, shopper_id: str, consents: Sequence[Consent]) -> Mapping[Purpose, Permission]:
        records = self._records.setdefault(shopper_id, [])
        records += [ConsentRecord(consent, NOW) for consent in consents]
        return self._permissions(shopper_id)

    def _permissions(self, shopper_id: str) -> dict[Purpose, Permission]:
        decisions = {record.consent.purpose: record.consent.granted for record in self._records.get(shopper_id, ())}
        return {
            purpose: Permission(decisions.get(purpose, purpose is Purpose.PERSONALISATION), decisions.get(purpose))
            for purpose in Purpose
        }

    def _get_consents(self, shopper_id: str) -> Consents:
        return Consents(self._permissions(shopper_id), tuple(self._records.get(shopper_id, ())))

    def _set_demographics(
        self, shopper_id: str, age: int | None, gender: str, region: str, source: str
    ) -> Demographics:
        if not self._permissions(shopper_id)[Purpose.DEMOGRAPHICS].allowed:
            problem = "the shopper does not allow the purpose `demographics`: set that consent first"
            raise FailedPreconditionError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"shopper_id: {problem}",
                violations=[FieldViolation("shopper_id", problem)],
                reason="CONSENT_MISSING",
            )
        self._declared[shopper_id] = Demographics(rules.age_band(age), gender, region, NOW, source, None)
        return self._declared[shopper_id]

    def _list_events(
        self,
        shopper_id: str,
        types: Sequence[EventType],
        since: datetime | None,
        before: datetime | None,
        page_size: int,
        page_token: str,
    ) -> EventPage:
        identity = self._get_identity(shopper_id)
        ids = [identity.shopper_id, *(link.anonymous_id for link in identity.links)]
        listed = [
            (each, event)
            for each in ids
            for event in self._events.get(each, {}).values()
            if (not types or event.type in types)
            and (since is None or (event.time or NOW) >= since)
            and (before is None or (event.time or NOW) < before)
        ]
        listed.sort(key=lambda each: each[1].time or NOW, reverse=True)
        first, size = int(page_token or 0), page_size or _EVENT_PAGE
        following = str(first + size) if first + size < len(listed) else ""
        return EventPage(tuple(listed[first : first + size]), following)

    def _set_review(self, review: Review) -> Review:
        kept = replace(review, reviewed_at=NOW)
        self._remove_review(review.target)
        self._reviews.append(kept)
        return kept

    def _remove_review(self, target: ReviewTarget) -> bool:
        count = len(self._reviews)
        self._reviews = [each for each in self._reviews if each.target != target]
        return len(self._reviews) < count

    def _list_reviews(self, shopper_id: str) -> list[tuple[Review, ...]]:
        return [tuple(each for each in self._reviews if not shopper_id or each.target.shopper_id == shopper_id)]

    def _list_review_queue(self, kind: ReviewQueueKind | None, page_size: int, page_token: str) -> ReviewQueuePage:
        return ReviewQueuePage((), "", RELEASE, "1")

    def _export_shopper(self, shopper_id: str) -> list[ShopperRecords]:
        events = tuple(self._events.get(shopper_id, {}).values())
        consents, links = tuple(self._records.get(shopper_id, ())), self._get_identity(shopper_id).links
        [reviews] = self._list_reviews(shopper_id)
        declared, membership = self._declared.get(shopper_id), self._memberships.get(shopper_id)
        return [ShopperRecords(consents, declared, events, shopper_id, links, reviews, membership)]

    def _forget_shopper(self, shopper_id: str) -> ForgetSummary:
        self._records.pop(shopper_id, None)
        self._declared.pop(shopper_id, None)
        self._memberships.pop(shopper_id, None)
        self._reviews = [each for each in self._reviews if each.target.shopper_id != shopper_id]
        return ForgetSummary(len(self._events.pop(shopper_id, {})), NOW)


def _effects(events: Sequence[Event]) -> tuple[EventEffect, ...]:
    return tuple(
        EventEffect(event.event_id, 1.0 / len(events), event.type, event.time, event.query or event.item_id)
        for event in events
    )


def _check_answer(method: str, answer: object) -> None:
    hint = get_type_hints(getattr(Client, method))["return"]
    kind = get_origin(hint) or hint
    if not isinstance(answer, Iterable if kind is Iterator else kind):
        raise TypeError(f"an answer of {method} is a {kind.__name__}; a {type(answer).__name__} was given")


def _refuse_missing(field: str, said: str, reason: str) -> NoReturn:
    raise NotFoundError(
        grpc.StatusCode.NOT_FOUND, f"{field}: {said}", violations=[FieldViolation(field, said)], reason=reason
    )


def _refuse_invalid(field: str, said: str) -> NoReturn:
    raise InvalidRequestError(
        grpc.StatusCode.INVALID_ARGUMENT,
        f"{field}: {said}",
        violations=[FieldViolation(field, said)],
        reason="FIELD_INVALID",
    )
