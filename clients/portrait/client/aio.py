"""The asynchronous client. Generated from `sync.py` by `clients/generate_aio.py`: do not edit."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Unpack

from portrait.client import calls
from portrait.client.async_channel import AsyncChannel
from portrait.client.audiences import AudiencePage, AudienceSummary, Criterion, LookAlike
from portrait.client.enums import ReviewQueueKind, ShelfKind
from portrait.client.options import CallOptions
from portrait.client.profiles import Demographics, Profile, ProfileError
from portrait.client.results import (
    Consent,
    Consents,
    Embeddings,
    Event,
    EventPage,
    EventType,
    Filter,
    ForgetSummary,
    Identity,
    Item,
    Membership,
    Permission,
    ProfileExplanation,
    Purpose,
    Ranking,
    RankingExplanation,
    RecordSummary,
    Shopper,
    UpsertSummary,
)
from portrait.client.review_queue import ReviewQueuePage
from portrait.client.reviews import Review, ReviewTarget
from portrait.client.shelves import Shelf
from portrait.client.shopper_records import ShopperRecords

_NO_EXAMPLES: Mapping[str, Sequence[Shopper]] = {}


class AsyncClient(AsyncChannel):
    """Calls a gateway over one channel. Create it, and use it, within one running event loop.

    Args:
        address: host:port of the gateway, [IPv6 address]:port, or unix:PATH of its socket.
        tls: certificates of server and caller; None for plain text.
        timeout: default time limit of a call in seconds, retries included.
        caller: name of the caller, for example of a service: 1 to 128 letters, digits, `._:@/-`. An overloaded gateway
            divides its capacity between callers. A client certificate (`tls`) takes precedence; without either, the
            caller is its address.
        priority: `batch` if nobody waits for the responses: such calls get the capacity that `interactive` ones leave.
        metadata: sent with every call, for example the tenant that a proxy routes by.
        token: the signed token (JWT) that proves who calls, or a function that returns it and runs before each call, as
            tokens expire. Use TLS: whoever reads the token can call with it.
        interceptors: run around every attempt of a call, the first outermost.
        channel_options: arguments of the gRPC channel; they override the client's own.

    Every method also takes `timeout`, `metadata` and `request_id`: see `CallOptions`.

    Raises:
        TypeError: an argument has the wrong type. Every method raises it too.
        ValueError: an argument has an invalid value, for example an address with `http://`. Every method raises it too.
        OSError: a file of `tls` can't be read.
    """

    async def record_events(self, events: Iterable[tuple[str, Event]], **options: Unpack[CallOptions]) -> RecordSummary:
        """Record any number of events, each with the id of its shopper, in calls of 1,000 events.

        The gateway stores an event id once per shopper, so a failed call can be repeated unchanged.

        Args:
            events: pairs of shopper id and event; read while they are sent.
            **options: see `CallOptions`; `timeout` applies to each call of 1,000 events.

        Raises:
            PortraitError: a call failed; the events of the calls before it are stored.
        """
        return calls.sum_record_summaries([await self._run(call, options) for call in calls.record_events(events)])

    async def list_events(
        self,
        shopper_id: str,
        *,
        types: Sequence[EventType] = (),
        since: datetime | None = None,
        before: datetime | None = None,
        page_size: int = 0,
        page_token: str = "",
        **options: Unpack[CallOptions],
    ) -> EventPage:
        """List recorded events of a shopper under all linked ids, the newest first; for any id, known or not.

        Args:
            shopper_id: the shopper.
            types: only events of these types; empty for all.
            since: only events at this time or later.
            before: only events before this time.
            page_size: events of a page, up to 1,000; 0 for 100.
            page_token: `next_page_token` of the page before; empty for the first page.
            **options: see `CallOptions`.
        """
        return await self._run(calls.list_events(shopper_id, types, since, before, page_size, page_token), options)

    async def get_profile(
        self,
        shopper: Shopper,
        *,
        as_of: datetime | None = None,
        fields: Sequence[str] | None = None,
        labels: Sequence[str] = (),
        label_examples: Mapping[str, Sequence[Shopper]] = _NO_EXAMPLES,
        allow_degraded: bool = False,
        **options: Unpack[CallOptions],
    ) -> Profile:
        """Get the profile of a shopper.

        Args:
            shopper: an id, or a history.
            as_of: the time that the profile describes; None for now.
            fields: names of the fields of Profile to compute; None for all but `embedding` and `traits`.
            labels: up to 20 labels in words for zero-shot interests; the response has them in `label_interests`.
            label_examples: labels by up to 16 example shoppers who have the interest, by name of the label.
            allow_degraded: while the models are down, accept an embedding of an earlier state of the history, or none,
                and absent traits.
            **options: see `CallOptions`.

        Raises:
            NotFoundError: no event of the shopper was recorded.
        """
        call = calls.get_profile(shopper, as_of, fields, labels, label_examples, allow_degraded)
        return await self._run(call, options)

    async def batch_get_profiles(
        self,
        shoppers: Sequence[Shopper],
        *,
        as_of: datetime | None = None,
        fields: Sequence[str] | None = None,
        allow_degraded: bool = False,
        **options: Unpack[CallOptions],
    ) -> list[Profile | ProfileError]:
        """Get the profiles of up to 256 shoppers, in their order; see `get_profile`."""
        return await self._run(calls.batch_get_profiles(shoppers, as_of, fields, allow_degraded), options)

    async def recommend(
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
        """Get the best `k` items of a catalogue for a shopper.

        Args:
            shopper: an id, or a history.
            catalogue: name of the catalogue; empty for products.
            query: the shopper's query; empty for none.
            k: number of items.
            filter: limits the items that may be shown; None for all.
            exclude_seen: exclude items that occur in the history.
            max_per_category: maximum number of items per category; 0 for no maximum.
            as_of: the time to recommend for; None for now.
            allow_degraded: accept a ranking computed without the models while they are down.
            **options: see `CallOptions`.

        Raises:
            NotFoundError: the catalogue does not exist.
        """
        call = calls.recommend(
            shopper, catalogue, query, k, filter, exclude_seen, as_of, allow_degraded, max_per_category
        )
        return await self._run(call, options)

    async def rank(
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
        """Rank candidates for a shopper: ids of items, or items. An item with a title is ranked by its own fields."""
        return await self._run(calls.rank(shopper, candidates, catalogue, query, as_of, allow_degraded), options)

    async def get_shelf(
        self,
        shopper: Shopper,
        kind: ShelfKind,
        item_ids: Sequence[str] = (),
        *,
        catalogue: str = "",
        k: int = 10,
        filter: Filter | None = None,
        exclude_seen: bool = False,
        as_of: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> Shelf:
        """Get items of one kind, such as those that are often bought together, each with the numbers that put it there.

        Args:
            shopper: an id, or a history.
            kind: the kind of shelf.
            item_ids: up to 10 items that similar or complementary items are wanted of; empty for other kinds.
            catalogue: name of the catalogue; empty for products.
            k: number of items.
            filter: limits the items that may be shown; None for all.
            exclude_seen: exclude items that occur in the history.
            as_of: the time of the request; None for now.
            **options: see `CallOptions`.

        Raises:
            FailedPreconditionError: the release does not know which items are bought together.
            NotFoundError: the catalogue does not exist, or holds none of the items.
        """
        return await self._run(
            calls.get_shelf(shopper, kind, item_ids, catalogue, k, filter, exclude_seen, as_of), options
        )

    async def encode_texts(self, texts: Sequence[str], **options: Unpack[CallOptions]) -> Embeddings:
        """Encode up to 256 texts as vectors, for your own index or model. The encoder reads 64 tokens of each."""
        return await self._run(calls.encode_texts(texts), options)

    def encode_text_stream(self, texts: Iterable[str], **options: Unpack[CallOptions]) -> AsyncIterator[Embeddings]:
        """Encode any number of texts, for bulk work: yields the vectors of every 64 texts, in the order of the texts.

        All vectors are of one release. The gateway serves calls for which somebody waits first, and is read no faster
        than the vectors are taken.

        Args:
            texts: also from a generator; read while they are sent.
            **options: see `CallOptions`; `timeout` applies to the whole stream. A gateway allows 60 s by default: give
                longer ones in parts.

        Raises:
            PortraitError: the stream failed; the vectors before are right.
        """
        return self._stream(calls.encode_text_stream(texts), options)

    async def explain_recommendation(
        self,
        shopper: Shopper,
        item_id: str,
        *,
        catalogue: str = "",
        query: str = "",
        as_of: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> RankingExplanation:
        """Explain an item's score for a shopper: the effect of each event and of each word of its title.

        Raises:
            NotFoundError: the catalogue or the item does not exist.
        """
        return await self._run(calls.explain_recommendation(shopper, item_id, catalogue, query, as_of), options)

    async def explain_profile(
        self,
        shopper: Shopper,
        *,
        interest: Sequence[str] = (),
        trait: str = "",
        as_of: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> ProfileExplanation:
        """Explain a profile as a whole, or one interest by its category path, or one trait by its name.

        Raises:
            NotFoundError: no event of the shopper was recorded, or the profile has no such interest, or no probability
                of the trait.
            ValueError: both an interest and a trait are given.
        """
        return await self._run(calls.explain_profile(shopper, interest, trait, as_of), options)

    async def upsert_items(
        self, items: Sequence[Item], *, catalogue: str = "", **options: Unpack[CallOptions]
    ) -> UpsertSummary:
        """Add or replace up to 500 items; each is stored or rejected on its own."""
        return await self._run(calls.upsert_items(items, catalogue), options)

    async def delete_items(
        self, item_ids: Sequence[str], *, catalogue: str = "", **options: Unpack[CallOptions]
    ) -> int:
        """Delete items; returns how many existed."""
        return await self._run(calls.delete_items(item_ids, catalogue), options)

    async def get_item(self, item_id: str, *, catalogue: str = "", **options: Unpack[CallOptions]) -> Item:
        """Get one item.

        Raises:
            NotFoundError: the catalogue does not hold it.
        """
        return await self._run(calls.get_item(item_id, catalogue), options)

    def find_audience(
        self,
        criteria: Sequence[Criterion] = (),
        *,
        look_alike: LookAlike | None = None,
        page_size: int = 0,
        page_token: str = "",
        **options: Unpack[CallOptions],
    ) -> AsyncIterator[AudiencePage]:
        """Find the shoppers who meet all criteria, page by page, in the order of their ids.

        The last page's `next_page_token` resumes a broken stream: no shopper is repeated or left out. If the audience
        or the seed has fewer shoppers than the gateway's minimum, no shopper is named; see the summary.

        Args:
            criteria: conditions that a shopper must meet.
            look_alike: a seed that the shoppers resemble; without it, at least one criterion is needed.
            page_size: shoppers per page, up to 10,000; 0 for 1,000.
            page_token: token of an earlier page for the same criteria; empty for the first page.
            **options: see `CallOptions`; `timeout` applies to all pages together.

        Raises:
            FailedPreconditionError: the gateway has no audience table, or no longer has that of the page token.
            NotFoundError: the release has no such trait.
        """
        return self._stream(calls.find_audience(criteria, look_alike, page_size, page_token), options)

    async def estimate_audience(
        self,
        criteria: Sequence[Criterion] = (),
        *,
        look_alike: LookAlike | None = None,
        **options: Unpack[CallOptions],
    ) -> AudienceSummary:
        """Estimate how many shoppers meet the criteria; see `find_audience`."""
        return await self._run(calls.estimate_audience(criteria, look_alike), options)

    async def set_consents(
        self, shopper_id: str, consents: Sequence[Consent], **options: Unpack[CallOptions]
    ) -> Mapping[Purpose, Permission]:
        """Record consent decisions on up to 20 purposes; returns the resulting permissions.

        Give the time of a decision if the call may be late: a late grant does not undo a later withdrawal.
        """
        return await self._run(calls.set_consents(shopper_id, consents), options)

    async def get_consents(self, shopper_id: str, **options: Unpack[CallOptions]) -> Consents:
        """Get a shopper's permissions and recorded decisions, for any id, known or not."""
        return await self._run(calls.get_consents(shopper_id), options)

    async def set_demographics(
        self,
        shopper_id: str,
        *,
        age: int | None = None,
        gender: str = "",
        region: str = "",
        source: str = "",
        **options: Unpack[CallOptions],
    ) -> Demographics:
        """Replace a shopper's declared demographics. The gateway stores the band of the age only.

        Raises:
            FailedPreconditionError: the shopper has not consented to the purpose `demographics`.
        """
        return await self._run(calls.set_demographics(shopper_id, age, gender, region, source), options)

    async def link_shoppers(
        self,
        shopper_id: str,
        anonymous_id: str,
        *,
        source: str,
        confidence: float = 1.0,
        time: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> Identity:
        """Link an anonymous id to a login: from now on, the gateway answers for both as for one shopper.

        Safe to repeat; a link of the two that exists is replaced.

        Args:
            shopper_id: the login.
            anonymous_id: an id that has no other login and is none itself.
            source: the event that showed that both ids are of one shopper, for example `login on web`.
            confidence: probability that they are; kept and shown, not used.
            time: when it was found out; None for now.
            **options: see `CallOptions`.

        Returns:
            all ids of the shopper.

        Raises:
            FailedPreconditionError: the link would merge two logins or make a chain, the login has 16 links, or one of
                the ids was forgotten after the time.
        """
        return await self._run(calls.link_shoppers(shopper_id, anonymous_id, source, confidence, time), options)

    async def unlink_shoppers(self, shopper_id: str, anonymous_id: str, **options: Unpack[CallOptions]) -> Identity:
        """Remove the link of an anonymous id to a login; each is then as if it had never been linked. Safe to repeat.

        Returns:
            the other ids of the login.
        """
        return await self._run(calls.unlink_shoppers(shopper_id, anonymous_id), options)

    async def get_identity(self, shopper_id: str, **options: Unpack[CallOptions]) -> Identity:
        """Get all ids of a shopper, by a login or by an anonymous id, known or not."""
        return await self._run(calls.get_identity(shopper_id), options)

    async def join_household(
        self,
        household_id: str,
        shopper_id: str,
        *,
        source: str,
        confidence: float = 1.0,
        time: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> Identity:
        """Make a shopper a member of a household; each member keeps a history and consents of their own.

        Safe to repeat; a membership in the same household is replaced.

        Args:
            household_id: an id of the shop's.
            shopper_id: a login, or an id without links, that has no other household.
            source: the event that showed that the shopper belongs to the household, for example `family account`.
            confidence: probability that the shopper does; kept and shown, not used.
            time: when it was found out; None for now.
            **options: see `CallOptions`.

        Returns:
            all ids of the shopper, with the membership.

        Raises:
            FailedPreconditionError: the shopper has another household, the id is linked to a login, the household has
                16 members, or the shopper was forgotten after the time.
        """
        return await self._run(calls.join_household(household_id, shopper_id, source, confidence, time), options)

    async def leave_household(self, household_id: str, shopper_id: str, **options: Unpack[CallOptions]) -> Identity:
        """Remove the membership of a shopper in a household, as if it had never been. Safe to repeat.

        Returns:
            all ids of the shopper.
        """
        return await self._run(calls.leave_household(household_id, shopper_id), options)

    async def get_household(self, household_id: str, **options: Unpack[CallOptions]) -> tuple[Membership, ...]:
        """Get the members of a household, known or not, in the order of their ids."""
        return await self._run(calls.get_household(household_id), options)

    async def set_review(self, review: Review, **options: Unpack[CallOptions]) -> Review:
        """Keep a review in place of that of the same target. It counts at once, in every process. Safe to repeat.

        Returns:
            the review with its time.

        Raises:
            FailedPreconditionError: there is no room for another one.
        """
        return await self._run(calls.set_review(review), options)

    async def remove_review(self, target: ReviewTarget, **options: Unpack[CallOptions]) -> bool:
        """Remove a review; returns whether there was one."""
        return await self._run(calls.remove_review(target), options)

    def list_reviews(self, shopper_id: str = "", **options: Unpack[CallOptions]) -> AsyncIterator[tuple[Review, ...]]:
        """List the reviews for a shopper, or all reviews, part by part; `timeout` applies to all parts together."""
        return self._stream(calls.list_reviews(shopper_id), options)

    async def list_review_queue(
        self,
        *,
        kind: ReviewQueueKind | None = None,
        page_size: int = 0,
        page_token: str = "",
        **options: Unpack[CallOptions],
    ) -> ReviewQueuePage:
        """List what wants a review, what concerns most shoppers first. The first call after a new table takes longer.

        Args:
            kind: only entries of this kind; None for all.
            page_size: entries of a page, up to 1,000; 0 for 100.
            page_token: `next_page_token` of the page before; empty for the first page.
            **options: see `CallOptions`.
        """
        return await self._run(calls.list_review_queue(kind, page_size, page_token), options)

    def export_shopper(self, shopper_id: str, **options: Unpack[CallOptions]) -> AsyncIterator[ShopperRecords]:
        """Export everything that is recorded of a shopper, part by part: what `forget_shopper` would delete.

        Takes any id, known or not; there is at least one part for each linked id.

        Args:
            shopper_id: the shopper.
            **options: see `CallOptions`; `timeout` applies to all parts together.
        """
        return self._stream(calls.export_shopper(shopper_id), options)

    async def forget_shopper(self, shopper_id: str, **options: Unpack[CallOptions]) -> ForgetSummary:
        """Delete everything that is recorded of a shopper under all linked ids, for good.

        The gateway rejects earlier events that are sent again. Safe to repeat; takes any id, known or not.
        """
        return await self._run(calls.forget_shopper(shopper_id), options)
