"""The synchronous client."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, Unpack

import grpc

from portrait.client import calls
from portrait.client.arguments import check
from portrait.client.audiences import AudiencePage, AudienceSummary, Criterion, LookAlike
from portrait.client.calls import Call, Stubs
from portrait.client.channels import (
    Option,
    Tls,
    check_address,
    merge_options,
)
from portrait.client.diagnosis import explain_failure
from portrait.client.enums import DEFAULT_ADDRESS, DEFAULT_TIMEOUT, Priority
from portrait.client.errors import from_rpc
from portrait.client.options import CallOptions, ClientOptions, Metadata
from portrait.client.profiles import Demographics, Profile, ProfileError
from portrait.client.results import (
    Consent,
    Consents,
    Embeddings,
    Event,
    Filter,
    Forgotten,
    Item,
    Permission,
    ProfileExplanation,
    Purpose,
    Ranking,
    RankingExplanation,
    RecordSummary,
    Shopper,
    UpsertSummary,
)
from portrait.client.retries import Retries

R = TypeVar("R")

_INTERCEPTORS: Any = Sequence[grpc.UnaryUnaryClientInterceptor | grpc.UnaryStreamClientInterceptor]  # type: ignore[type-arg]
Interceptor: TypeAlias = "grpc.UnaryUnaryClientInterceptor[Any, Any] | grpc.UnaryStreamClientInterceptor[Any, Any]"

_NONE: Mapping[str, Sequence[Shopper]] = {}


class Client:
    """Calls a gateway. Safe to share between threads; one channel for all calls.

    Args:
        address: host:port of the gateway, [IPv6 address]:port, or unix:PATH of its socket.
        tls: how to recognise the server; None for plain text.
        timeout: seconds that a call may take, retries included, where it says nothing else.
        caller: who calls, for example the name of a service: while a gateway is overloaded, no caller gets all of it.
            A certificate says it better (`tls`); without either the address counts. 1 to 128 letters, digits, `._:@/-`.
        priority: `batch` where nobody waits for the answers: it gets what `interactive` calls leave.
        metadata: sent with every call, for example the tenant that a proxy routes by.
        interceptors: run round every try of a call, the first outermost.
        channel_options: arguments of the gRPC channel, in place of the client's own or beside them.

    Every method also takes `timeout`, `metadata` and `request_id`: see `CallOptions`.

    Raises:
        TypeError: an argument is of another type than it takes; so does every method.
        ValueError: an argument has a value that it can't have, as an address with `http://`; so does every method.
        OSError: a file of `tls` can't be read.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        caller: str = "",
        priority: Priority = Priority.INTERACTIVE,
        metadata: Metadata = (),
        interceptors: Sequence[Interceptor] = (),
        channel_options: Sequence[Option] | Mapping[str, str | int] = (),
    ) -> None:
        check_address(address)
        check(tls, Tls | None, "tls")
        check(interceptors, _INTERCEPTORS, "interceptors")
        self._options = ClientOptions(timeout, caller, priority, metadata)
        self._address, self._tls = address, tls
        options = merge_options(address, channel_options)
        if tls:
            self._channel = grpc.secure_channel(address, tls.credentials(), options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._stubs = Stubs(grpc.intercept_channel(self._channel, *interceptors))
        self._retries = Retries()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Call[R], options: CallOptions) -> R:
        method = self._stubs.methods[call.method]
        chosen = self._options.choose(options)
        tries = self._retries.begin(chosen.timeout)
        while True:
            try:
                answer = method(call.request, timeout=tries.left, metadata=chosen.metadata)
            except grpc.RpcError as error:
                failure = from_rpc(error, chosen.request_id, chosen.timeout)
                pause = tries.pause_after(error, failure)
                if pause is None:
                    failure.hint = failure.hint or explain_failure(self._address, self._tls, failure)
                    raise failure from error
            else:
                tries.note_answer()
                return call.read(answer)
            time.sleep(pause)

    def _stream(self, call: Call[R], options: CallOptions) -> Iterator[R]:
        method = self._stubs.methods[call.method]
        chosen = self._options.choose(options)
        tries = self._retries.begin(chosen.timeout)
        while True:
            answers = method(call.request, timeout=tries.left, metadata=chosen.metadata)
            try:
                for answer in answers:
                    tries.note_answer()
                    yield call.read(answer)
                return
            except grpc.RpcError as error:
                failure = from_rpc(error, chosen.request_id, chosen.timeout)
                pause = tries.pause_after(error, failure)
                if pause is None:
                    failure.hint = failure.hint or explain_failure(self._address, self._tls, failure)
                    raise failure from error
            finally:
                answers.cancel()  # whoever leaves the loop wants no more
            time.sleep(pause)

    def record_events(self, events: Iterable[tuple[str, Event]], **options: Unpack[CallOptions]) -> RecordSummary:
        """Record events, each with the id of its shopper; any number, in calls of 1,000.

        An event counts once however often its id is recorded, so what failed may be repeated as it is.

        Args:
            events: shopper ids and events; read as they are sent.
            **options: see `CallOptions`; `timeout` is for each call of 1,000.

        Raises:
            PortraitError: a call failed; the ones before it have stored their events.
        """
        return calls.total([self._run(call, options) for call in calls.record_events(events)])

    def get_profile(
        self,
        shopper: Shopper,
        *,
        as_of: datetime | None = None,
        fields: Sequence[str] | None = None,
        labels: Sequence[str] = (),
        label_examples: Mapping[str, Sequence[Shopper]] = _NONE,
        allow_degraded: bool = False,
        **options: Unpack[CallOptions],
    ) -> Profile:
        """The profile of a shopper.

        Args:
            shopper: an id, or a history.
            as_of: the moment of the profile; None for now.
            fields: names of fields of Profile to fill, and to compute; None for all but `embedding` and `traits`.
            labels: words for interests that nobody trained for, up to 20; answered in `label_interests`.
            label_examples: interests told by up to 16 shoppers who have them, by name.
            allow_degraded: take an embedding of some events ago, or none, and absent traits, while the models are down.
            **options: see `CallOptions`.

        Raises:
            NotFoundError: nothing is known of the shopper.
        """
        call = calls.get_profile(shopper, as_of, fields, labels, label_examples, allow_degraded)
        return self._run(call, options)

    def batch_get_profiles(
        self,
        shoppers: Sequence[Shopper],
        *,
        as_of: datetime | None = None,
        fields: Sequence[str] | None = None,
        allow_degraded: bool = False,
        **options: Unpack[CallOptions],
    ) -> list[Profile | ProfileError]:
        """The profiles of up to 256 shoppers, in their order; see `get_profile`."""
        return self._run(calls.batch_get_profiles(shoppers, as_of, fields, allow_degraded), options)

    def recommend(
        self,
        shopper: Shopper,
        *,
        catalogue: str = "",
        query: str = "",
        k: int = 10,
        filter: Filter | None = None,
        exclude_seen: bool = False,
        max_per_category: int = 0,
        as_of: datetime | None = None,
        allow_degraded: bool = False,
        **options: Unpack[CallOptions],
    ) -> Ranking:
        """The best `k` items of a catalogue for a shopper.

        Args:
            shopper: an id, or a history.
            catalogue: its name; empty for products.
            query: what the shopper asks for; empty for nothing.
            k: how many items.
            filter: which items may be shown; None for all.
            exclude_seen: leave out what stands in the history.
            max_per_category: how many items of one category at most; 0 for any number.
            as_of: the moment; None for now.
            allow_degraded: take an answer without the models while they are down.
            **options: see `CallOptions`.

        Raises:
            NotFoundError: there is no such catalogue.
        """
        call = calls.recommend(
            shopper, catalogue, query, k, filter, exclude_seen, as_of, allow_degraded, max_per_category
        )
        return self._run(call, options)

    def rank(
        self,
        shopper: Shopper,
        candidates: Sequence[Item | str],
        *,
        catalogue: str = "",
        query: str = "",
        as_of: datetime | None = None,
        allow_degraded: bool = False,
        **options: Unpack[CallOptions],
    ) -> Ranking:
        """Candidates in order for a shopper: ids, or items; those with a title are ranked by their own words."""
        return self._run(calls.rank(shopper, candidates, catalogue, query, as_of, allow_degraded), options)

    def encode_texts(self, texts: Sequence[str], **options: Unpack[CallOptions]) -> Embeddings:
        """Up to 256 texts as vectors, for an index or a model of your own; of each the first 64 tokens count."""
        return self._run(calls.encode_texts(texts), options)

    def explain_recommendation(
        self,
        shopper: Shopper,
        item_id: str,
        *,
        catalogue: str = "",
        query: str = "",
        as_of: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> RankingExplanation:
        """Why an item has its score for a shopper: what each event, and each word of its title, adds.

        Raises:
            NotFoundError: there is no such catalogue or item.
        """
        return self._run(calls.explain_recommendation(shopper, item_id, catalogue, query, as_of), options)

    def explain_profile(
        self,
        shopper: Shopper,
        *,
        interest: Sequence[str] = (),
        trait: str = "",
        as_of: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> ProfileExplanation:
        """What a profile rests on, or, with the path of an interest or the name of a trait, what that does.

        Raises:
            NotFoundError: nothing is known of the shopper, or the profile has no such interest, or no probability of
                the trait.
            ValueError: both are named.
        """
        return self._run(calls.explain_profile(shopper, interest, trait, as_of), options)

    def upsert_items(
        self, items: Sequence[Item], *, catalogue: str = "", **options: Unpack[CallOptions]
    ) -> UpsertSummary:
        """Add or replace up to 500 items; each is stored or rejected by itself."""
        return self._run(calls.upsert_items(items, catalogue), options)

    def delete_items(self, item_ids: Sequence[str], *, catalogue: str = "", **options: Unpack[CallOptions]) -> int:
        """Remove items; returns how many were there."""
        return self._run(calls.delete_items(item_ids, catalogue), options)

    def get_item(self, item_id: str, *, catalogue: str = "", **options: Unpack[CallOptions]) -> Item:
        """One item.

        Raises:
            NotFoundError: the catalogue does not hold it.
        """
        return self._run(calls.get_item(item_id, catalogue), options)

    def find_audience(
        self,
        criteria: Sequence[Criterion] = (),
        *,
        look_alike: LookAlike | None = None,
        page_size: int = 0,
        page_token: str = "",
        **options: Unpack[CallOptions],
    ) -> Iterator[AudiencePage]:
        """The shoppers who meet all of some criteria, page by page, in the order of their ids.

        A stream that breaks is gone on with by the last page's `next_page_token`: nobody is named twice or left out.
        Nobody is named if they, or the shoppers of a seed, are fewer than the gateway's minimum; see the summary.

        Args:
            criteria: all must be met.
            look_alike: a seed that they are like; without it, there is at least one criterion.
            page_size: shoppers in a page, up to 10,000; 0 for 1,000.
            page_token: of an earlier page for the same criteria; empty to begin.
            **options: see `CallOptions`; `timeout` is for all pages.

        Raises:
            FailedPreconditionError: the gateway has no shopper table, or no more the one of the page token.
            NotFoundError: the release has no such trait.
        """
        return self._stream(calls.find_audience(criteria, look_alike, page_size, page_token), options)

    def estimate_audience(
        self,
        criteria: Sequence[Criterion] = (),
        *,
        look_alike: LookAlike | None = None,
        **options: Unpack[CallOptions],
    ) -> AudienceSummary:
        """How many shoppers meet criteria, rounded; see `find_audience`."""
        return self._run(calls.estimate_audience(criteria, look_alike), options)

    def set_consents(
        self, shopper_id: str, consents: Sequence[Consent], **options: Unpack[CallOptions]
    ) -> Mapping[Purpose, Permission]:
        """Record what a shopper said of up to 20 purposes; returns what they allow now.

        Say when they said it, where a call may be late: a late grant does not undo a later withdrawal.
        """
        return self._run(calls.set_consents(shopper_id, consents), options)

    def get_consents(self, shopper_id: str, **options: Unpack[CallOptions]) -> Consents:
        """What a shopper allows, and all that they said; for any id, known or not."""
        return self._run(calls.get_consents(shopper_id), options)

    def set_demographics(
        self,
        shopper_id: str,
        *,
        age: int | None = None,
        gender: str = "",
        region: str = "",
        source: str = "",
        **options: Unpack[CallOptions],
    ) -> Demographics:
        """Keep what a shopper declares, in place of all that they declared before; of the age only its band.

        Raises:
            FailedPreconditionError: the shopper does not allow the purpose `demographics`.
        """
        return self._run(calls.set_demographics(shopper_id, age, gender, region, source), options)

    def forget_shopper(self, shopper_id: str, **options: Unpack[CallOptions]) -> Forgotten:
        """Remove all that is recorded of a shopper, for good: events, what they declared and what they allowed.

        Events of up to this moment that are sent again are refused. Safe to repeat, and for any id.
        """
        return self._run(calls.forget_shopper(shopper_id), options)
